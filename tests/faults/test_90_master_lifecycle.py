# SPDX-License-Identifier: MIT
"""The master under the load of 500 connections: whatever an operator has it do, no request is lost."""
import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

import harness
from harness import BINARY, LAB, Lab, children, process_state, wait_for
from steady import Steady

WORKERS = 4
NOTICE = 0.3        # a kill is noticed by then


class Copied(Lab):
    """The program as a file of its own, in whose place another one can be put."""

    def __init__(self, folder, settings=None, program=LAB):
        super().__init__(folder, settings)
        self.program = self.folder / "program"
        shutil.copy(program, self.program)
        self.command = [str(self.program)] if program == LAB else [str(self.program), "serve"]
        self.pid_file = self.folder / "data" / "sanad.pid"

    def put(self, content):
        draft = self.folder / "draft"
        draft.write_bytes(content)
        draft.chmod(0o755)
        os.rename(draft, self.program)

    def put_version(self, version):
        """Another version of the same length."""
        content = self.program.read_bytes()
        assert content.count(b"0.1.") > 0
        self.put(re.sub(rb"0\.1\.\d", version.encode(), content))


@pytest.fixture
def lab(tmp_path):
    """lab(SETTING=value, ...) starts the small application on SQLite; its settings stand in a file."""
    started = []

    def start(**settings):
        server = Copied(tmp_path / "lab", {"MAX_WORKERS": WORKERS, "GRACEFUL_TIMEOUT": 30})
        server.file = server.folder / "settings.env"
        server.settings["SETTINGS_FILE"] = server.file
        change(server, **settings)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        for pid in [server.process.pid, *masters_of(server)]:
            if process_state(pid) not in ("", "Z"):
                os.kill(pid, signal.SIGTERM)
                wait_for(lambda: process_state(pid) in ("", "Z"), f"the end of {pid}")
        server.process.wait()
        harness.assert_no_report(server.log())


def change(server, **settings):
    """In the file; those of the environment go before it."""
    for name in settings:
        server.settings.pop(name, None)
    server.file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))


def masters_of(server):
    """The process in the pid file, if it is another one than the first."""
    try:
        pid = int(server.pid_file.read_text().split()[0])
    except (OSError, IndexError):
        return []
    return [pid] if pid != server.process.pid else []


def rows(server):
    return server.metrics()["workers"]


def pids_by_index(server):
    """When each position has one worker, which is ready; else None."""
    told = rows(server)
    ready = {row["index"]: row["pid"] for row in told if row["state"] == "ready"}
    return ready if len(ready) == len(told) else None


def settled(server, count=WORKERS, other_than=()):
    """Waits until so many workers serve, none of them one of those."""
    def look():
        pids = pids_by_index(server)
        return pids if pids and len(pids) == count and not set(pids.values()) & set(other_than) else None
    return wait_for(look, f"{count} workers, none of {other_than}")


def requests_of(server):
    return server.metrics()["http"]["requests"]


# -- reload -----------------------------------------------------------------------------------------------------------

def test_reload__ten_times_loses_no_request(lab):
    server = lab()
    pids, seen = settled(server), set()
    with Steady(server.port) as load:
        counted = 0
        for _ in range(10):
            seen |= set(pids.values())
            server.process.send_signal(signal.SIGHUP)
            pids = settled(server, other_than=seen)
            load.more(300)
            told = requests_of(server)
            assert told > counted, "a counter fell"
            counted = told
    assert load.failures == []
    assert seen <= load.pids                      # each of them has served
    assert server.log().count(" reloaded ") == 10
    assert server.metrics()["pool_size"] == 50


def test_reload__new_settings_have_effect_and_bad_ones_none(lab):
    server = lab(MAX_WORKERS=2, MAX_BODY_BYTES="2K")
    body = b"x" * 3000
    assert server.request("POST", "/echo", body=body).status == 413
    before = settled(server, 2)

    change(server, MAX_WORKERS=2, MAX_BODY_BYTES="many")
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "nothing is reloaded" in server.log(), "the refusal")
    time.sleep(0.3)
    assert settled(server, 2) == before
    assert server.request("POST", "/echo", body=body).status == 413

    change(server, MAX_WORKERS=3, MAX_BODY_BYTES="4K", DB_POOL_SIZE=20)
    server.process.send_signal(signal.SIGHUP)
    settled(server, 3, other_than=before.values())
    assert server.request("POST", "/echo", body=body).status == 200
    assert re.search(r"warn .*takes effect with `sanad upgrade` or a restart key=DB_POOL_SIZE", server.log())
    assert server.metrics()["pool_size"] == 50

    change(server, MAX_WORKERS=1)
    server.process.send_signal(signal.SIGHUP)
    settled(server, 1)
    assert server.request("POST", "/echo", body=body).status == 200


# -- more workers, fewer workers --------------------------------------------------------------------------------------

def test_number__of_workers_changes_under_load(lab):
    server = lab()
    with Steady(server.port) as load:
        for signals, count in (("TTIN", 5), ("TTIN", 6), ("TTOU", 5), ("TTOU", 4), ("TTOU", 3), ("TTIN", 4)):
            server.process.send_signal(getattr(signal, f"SIG{signals}"))
            settled(server, count)
            load.more(300)
    assert load.failures == []


# -- recycling --------------------------------------------------------------------------------------------------------

def test_recycling__one_at_a_time_loses_no_request(lab):
    server = lab(MAX_REQUESTS=1000, MAX_REQUESTS_JITTER=200)
    most_at_once, most_leaving = 0, 0
    with Steady(server.port, rest=0.1) as load:
        def recycled():
            nonlocal most_at_once, most_leaving
            told = rows(server)
            most_at_once = max(most_at_once, len(told))
            most_leaving = max(most_leaving, sum(row["state"] == "draining" for row in told))
            return server.log().count("has answered MAX_REQUESTS") >= 6
        wait_for(recycled, "six workers to be recycled")
        load.more(1000)
    assert load.failures == []
    assert most_at_once <= WORKERS + 1 and most_leaving <= 1


# -- upgrade ----------------------------------------------------------------------------------------------------------

def version(server):
    return server.get("/health").json()["version"]


def test_upgrade__to_another_version_loses_no_request(lab):
    server = lab()
    old = settled(server)
    with Steady(server.port) as load:
        counted = requests_of(server)
        server.put_version("0.1.9")
        server.process.send_signal(signal.SIGUSR2)
        new, = wait_for(lambda: masters_of(server), "the new program's pid file")
        wait_for(lambda: " 0.1.9 ready on " in server.log(), "the new program to be ready")
        load.more(500)                                               # both serve
        assert len(children(new)) == WORKERS
        server.process.send_signal(signal.SIGWINCH)
        wait_for(lambda: not [pid for pid in old.values() if process_state(pid) not in ("", "Z")], "the old workers to end")
        assert process_state(server.process.pid) not in ("", "Z")
        load.more(500)
        server.process.send_signal(signal.SIGHUP)                    # and back
        wait_for(lambda: len(server.workers()) == WORKERS + 1, "the old program's workers, and its heir")
        load.more(500)
        server.process.send_signal(signal.SIGQUIT)
        assert server.process.wait(harness.PATIENCE) == 0
        load.more(500)
        assert requests_of(server) > counted + 2000, "the counts did not go on"
        settled(server)
    assert load.failures == []
    assert version(server) == "0.1.9"


BROKEN = {
    "ends": lambda program: b"#!/bin/sh\nexit 1\n",
    "truncated": lambda program: program[:5000],
    "no program": lambda program: b"Lorem ipsum\n",
}


def test_upgrade__to_what_cannot_start_leaves_the_old_one_serving(lab):
    server = lab()
    before = settled(server)
    with Steady(server.port, connections=200) as load:
        program = server.program.read_bytes()
        for number, make in enumerate(BROKEN.values(), 1):
            server.put(make(program))
            server.process.send_signal(signal.SIGUSR2)
            wait_for(lambda: server.log().count("the new program has ended; this one serves on") == number, "the failure")
            load.more(200)
            assert int(server.pid_file.read_text().split()[0]) == server.process.pid
    assert load.failures == []
    assert settled(server) == before


def test_counts_of_the_limiter__go_on_over_reload_and_upgrade(tmp_path):
    server = Copied(tmp_path, {"MAX_WORKERS": 2, "RATE_LIMIT_ENABLED": "True", "RATE_LIMIT_PER_MINUTE": 50}, BINARY)
    server.start()
    try:
        def remaining():
            answer = server.get("/api/spas")
            assert answer.status == 200
            return int(answer.header("X-RateLimit-Remaining"))

        left = remaining()
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: " reloaded " in server.log(), "the reload")
        assert remaining() == left - 1
        server.put_version("0.1.8")
        done = harness.sanad(server.folder, "upgrade", settings=server.settings)
        assert "upgraded: process" in done.stdout
        server.process.wait()
        assert remaining() == left - 2
        assert version(server) == "0.1.8"
    finally:
        harness.sanad(server.folder, "stop", settings=server.settings)
        harness.assert_no_report(server.log())


# -- deaths -----------------------------------------------------------------------------------------------------------

def assert_only_theirs(failures, deaths):
    """Each failure was on a connection of a killed worker: {pid: when}."""
    for failure in failures:
        if failure.pid is None:
            assert any(failure.opened < at + NOTICE and failure.failed > at - NOTICE for at in deaths.values()), failure
        else:
            assert failure.pid in deaths, f"a connection of a living worker failed: {failure}"


def test_kill__of_each_worker_in_turn_costs_only_what_it_had_under_way(lab):
    server = lab()
    deaths = {}
    with Steady(server.port) as load:
        for pid in settled(server).values():
            os.kill(pid, signal.SIGKILL)
            deaths[pid] = time.monotonic()
            settled(server, other_than=deaths)
            load.more(500)
    assert_only_theirs(load.failures, deaths)
    assert len(load.failures) <= len(deaths) * len(load._clients)


def test_kill__of_the_master_ends_its_workers(lab):
    server = lab()
    workers = server.workers()
    with Steady(server.port, connections=100) as load:
        load.more(200)
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        for pid in workers:
            wait_for(lambda: process_state(pid) in ("", "Z"), f"worker {pid} to end")
    assert {failure.pid for failure in load.failures} <= {None}, load.failures[:3]    # nothing of what was answered before


def test_stuck__worker_is_replaced_and_its_last_request_named(lab):
    server = lab(TIMEOUT=2)
    deaths = {}
    with Steady(server.port, connections=100, target="/slow?ms=1") as load:
        pid = settled(server)[1]
        os.kill(pid, signal.SIGSTOP)
        settled(server, other_than=[pid])
        deaths[pid] = time.monotonic()
        load.more(300)
    assert {failure.pid for failure in load.failures} <= {pid, None}
    line = re.search(rf"error .*no sign of life for TIMEOUT; killing it index=1 pid={pid} .*", server.log()).group()
    assert re.search(r'last_request="GET /slow steady-\d+"', line), line
    assert re.search(r'"stuck"\} 1$', server.get("/metrics?format=prometheus").body.decode(), re.MULTILINE)


def test_stuck__worker_tells_where_it_was(lab):
    server = lab()
    pid = settled(server)[0]
    os.kill(pid, signal.SIGABRT)
    settled(server, other_than=[pid])
    assert re.search(r"backtrace of the process that was aborted:\n(.*\[0x[0-9a-f]+\]\n){3}", server.log()), server.log()[-2000:]


# -- commands ---------------------------------------------------------------------------------------------------------

def test_commands__reload_upgrade_stop(tmp_path):
    server = Copied(tmp_path, {"MAX_WORKERS": 2}, BINARY)

    def command(*arguments, status=0, **settings):
        return harness.sanad(server.folder, *arguments, settings={**server.settings, **settings}, status=status)

    for name in ("reload", "upgrade", "stop"):
        assert "no server is running here" in command(name, status=1).stderr
        assert "Example:" in command(name, "--help").stdout
        command(name, "nonsense", status=64)
        assert "PORT=none" in command(name, "--set", "PORT=none", status=78).stderr
    server.start()
    before = set(server.workers())
    assert "reloaded" in command("reload").stdout
    wait_for(lambda: not before & set(server.workers()), "the old workers to end")
    assert server.get("/health").status == 200

    program = server.program.read_bytes()
    server.put(BROKEN["ends"](program))
    assert "the old one" in command("upgrade", status=1).stderr
    server.put(program)
    assert "upgraded" in command("upgrade").stdout
    assert server.process.wait(harness.PATIENCE) == 0
    assert "stopped" in command("stop", "--now").stdout
    assert not server.pid_file.exists() and not Path(f"{server.pid_file}.old").exists()
    harness.assert_no_report(server.log())
