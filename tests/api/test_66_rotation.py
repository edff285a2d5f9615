# SPDX-License-Identifier: MIT
"""Log files under rotation: renamed while the server writes, opened anew at SIGUSR1. No line is lost or torn."""
import collections
import json
import os
import signal
import time

import pytest

from clients import Clients, all_ready
from harness import wait_for

ROTATIONS = 10


def rotate(server, path, number):
    """As logrotate does: rename, then signal. When each worker has opened the new file, the name of the old one."""
    moved = path.with_name(f"{path.name}.{number}")
    path.rename(moved)
    os.kill(server.process.pid, signal.SIGUSR1)
    wait_for(lambda: all(times_open(pid, path) for pid in server.workers()), "the workers to open the new file")
    wait_for(lambda: not any(times_open(pid, moved) for pid in server.workers()), "the workers to leave the old file")
    return moved


def times_open(pid, path):
    """How many descriptors of a process are of the file of that name."""
    try:
        return sum(os.readlink(f"/proc/{pid}/fd/{fd}") == str(path) for fd in os.listdir(f"/proc/{pid}/fd"))
    except FileNotFoundError:      # a descriptor that was just closed
        return times_open(pid, path)


def ids(files):
    """How often each request of the clients' stands in the files; every line is whole."""
    lines = [line for file in files for line in file.read_bytes().decode().splitlines(keepends=True)]
    assert all(line.endswith("}\n") for line in lines)
    found = collections.Counter(json.loads(line)["request_id"] for line in lines)
    return {name: times for name, times in found.items() if name.startswith("client-")}


def test_access_log__rotated_under_load_holds_each_request_once(lab, tmp_path):
    path = tmp_path / "access.log"
    server = lab(ACCESS_LOG=path, LOG_FORMAT="json", MAX_WORKERS=4)
    wait_for(lambda: all_ready(server, count=4), "the workers to be ready")
    files = []
    with Clients(server.port, threads=8) as clients:
        for number in range(ROTATIONS):
            wanted = clients.answered + 200
            wait_for(lambda: clients.answered >= wanted and path.stat().st_size > 0, "some requests")
            files.append(rotate(server, path, number))
    server.stop()
    assert clients.failures == []
    found = ids([*files, path])
    assert set(found.values()) == {1}
    assert len(found) == clients.answered


def test_access_log__signals_in_a_row_do_no_harm(lab, tmp_path):
    path = tmp_path / "access.log"
    server = lab(ACCESS_LOG=path, LOG_FORMAT="json", MAX_WORKERS=2)
    with Clients(server.port, threads=4) as clients:
        for _ in range(200):
            os.kill(server.process.pid, signal.SIGUSR1)
            time.sleep(0.002)
    wait_for(lambda: all(times_open(pid, path) == 1 for pid in server.workers()), "one descriptor a worker")
    server.stop()
    assert clients.failures == []
    assert ids([path]) == dict.fromkeys(ids([path]), 1) and len(ids([path])) == clients.answered


def test_access_log__that_cannot_be_opened_anew_is_gone_on_with(lab, tmp_path):
    path, moved = tmp_path / "access.log", tmp_path / "access.log.1"
    server = lab(ACCESS_LOG=path, LOG_FORMAT="json", MAX_WORKERS=2)
    path.rename(moved)
    path.mkdir()
    os.kill(server.process.pid, signal.SIGUSR1)
    wait_for(lambda: server.log().count("cannot open the access log") == 2, "each worker to say so")
    assert f"cannot open the access log {path} (Is a directory); going on with the one that is open" in server.log()
    with Clients(server.port, threads=2) as clients:
        wait_for(lambda: moved.stat().st_size > 0, "some requests")
    path.rmdir()
    os.kill(server.process.pid, signal.SIGUSR1)
    wait_for(path.exists, "the file to be made")
    server.stop()
    assert clients.failures == []
    assert len(ids([moved, path])) == clients.answered


def test_slow_log__is_left_at_once(lab, tmp_path):
    """Not only at the next slow statement, which may be tomorrow's."""
    path = tmp_path / "slow.log"
    server = lab(SLOW_LOG=path, SLOW_QUERY_MS=1, MAX_WORKERS=1)
    assert server.get("/count/to?times=200000").status == 200
    wait_for(lambda: path.exists() and path.read_text().count("# Time: ") == 1, "the record")
    moved = rotate(server, path, 1)
    assert server.get("/count/to?times=200000").status == 200
    wait_for(lambda: path.read_text().count("# Time: ") == 1, "the second record")
    assert moved.read_text().count("# Time: ") == 1


@pytest.mark.parametrize("target", ("-", ""))
def test_no_file__is_left_alone(lab, target):
    server = lab(ACCESS_LOG=target)
    workers = server.workers()
    for pid in (server.process.pid, *workers):
        os.kill(pid, signal.SIGUSR1)
    wait_for(lambda: "log files are opened anew" in server.log(), "the line")
    for _ in range(20):
        assert server.get("/slow").json()["pid"] in workers
