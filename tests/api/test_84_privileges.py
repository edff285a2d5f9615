# SPDX-License-Identifier: MIT
"""Started by root: what only root can is done first, then nobody is root any more. (Without root there is nothing to see.)"""
import os
import pwd
import re
import shutil
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from harness import BINARY, DEFAULTS, LAB, Lab, Wire, environment, sanad, wait_for

USER = "nobody"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def status_of(pid):
    return dict(re.findall(r"^(\w+):\t(.*)$", Path(f"/proc/{pid}/status").read_text(), re.M))


@pytest.fixture
def open_folder(tmp_path):
    """A folder that other users reach, which pytest's are not; the program there too."""
    folder = Path("/tmp") / f"sanad-{os.getpid()}-{tmp_path.name}"
    folder.mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder)


def as_user(folder, *command):
    """A program as that user; its exit status and output."""
    account = pwd.getpwnam(USER)

    def become():
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)

    return subprocess.run(command, cwd=folder, preexec_fn=become, capture_output=True, text=True, timeout=60,
                          env=environment({"PID_FILE": "data/sanad.pid"}))


def is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def low_port():
    """One that only root may open."""
    return next(port for port in range(601, 1023) if is_free(port))


@as_root
def test_drop__all_of_root_is_left_behind(open_folder):
    account = pwd.getpwnam(USER)
    port = low_port()
    settings = {"RUN_AS_USER": USER, "PORT": port, "DB_PATH": "data/x.db", "UNIX_SOCKET": "run/s.sock",
                "PID_FILE": "data/sanad.pid", "ACCESS_LOG": "log/access.log", "SLOW_LOG": "log/slow.log"}
    with Lab(open_folder, settings) as server:
        assert server.port == port
        for pid in (server.process.pid, *server.workers()):
            status = status_of(pid)
            assert status["Uid"].split() == [str(account.pw_uid)] * 4
            assert status["Gid"].split() == [str(account.pw_gid)] * 4
            assert "0" not in status["Groups"].split()
            assert status["NoNewPrivs"] == "1"
            assert {int(status[key], 16) for key in ("CapPrm", "CapEff", "CapInh", "CapAmb")} == {0}
        for path in ("data", "data/x.db", "data/sanad.pid", "run", "run/s.sock", "log", "log/access.log"):
            found = (open_folder / path).stat()
            assert (found.st_uid, found.st_gid) == (account.pw_uid, account.pw_gid), path
        assert stat.S_IMODE((open_folder / "data").stat().st_mode) == 0o750
        with Wire(str(open_folder / "run" / "s.sock")) as wire:
            assert wire.get("/health").status == 200
        assert "running as root" not in server.log()
        told = as_user(open_folder, BINARY, "limits")
        assert told.returncode == 0, told.stderr       # the user's own commands find it
    assert not (open_folder / "run" / "s.sock").exists()
    assert not (open_folder / "data" / "sanad.pid").exists()


@as_root
def test_drop__a_number_and_a_group_will_do(open_folder):
    with Lab(open_folder, {"RUN_AS_USER": 54321, "RUN_AS_GROUP": 54322, "DB_PATH": "data/x.db"}) as server:
        status = status_of(server.process.pid)
        assert (status["Uid"].split()[0], status["Gid"].split()[0], status["Groups"].split()) == \
            ("54321", "54322", ["54322"])


@as_root
def test_drop__a_worker_that_died_is_replaced_by_one_without_root(open_folder):
    with Lab(open_folder, {"RUN_AS_USER": USER, "PORT": low_port(), "DB_PATH": "data/x.db"}) as server:
        victim = server.workers()[0]
        os.kill(victim, 9)
        wait_for(lambda: len(server.workers()) == 2 and victim not in server.workers(), "another worker")
        assert all(status_of(pid)["Uid"].split()[0] != "0" for pid in server.workers())
        wait_for(server._healthy, "an answer")


@as_root
def test_drop__what_the_user_may_not_open_is_told_at_the_start(open_folder):
    (open_folder / "access.log").touch(0o600)
    told = sanad(open_folder, "serve", status=1, settings={
        **DEFAULTS, "RUN_AS_USER": USER, "DB_PATH": "data/x.db", "ACCESS_LOG": "access.log"})
    assert "access.log" in told.stderr and "Permission denied" in told.stderr, told.stderr


@as_root
@pytest.mark.parametrize("settings,word", [({"RUN_AS_USER": "no-such-user"}, 'no user "no-such-user"'),
                                           ({"RUN_AS_USER": USER, "RUN_AS_GROUP": "no-such-group"}, "no-such-group"),
                                           ({"RUN_AS_USER": 54321}, "RUN_AS_GROUP"), ({"RUN_AS_USER": -1}, '"-1"'),
                                           ({"RUN_AS_USER": 4294967295, "RUN_AS_GROUP": 1}, "4294967295")])
def test_drop__an_unknown_user_is_a_wrong_setting(tmp_path, settings, word):
    told = sanad(tmp_path, "serve", settings={**DEFAULTS, "DB_PATH": "x.db", **settings}, status=78).stderr
    assert word in told, told
    assert not (tmp_path / "x.db").exists()


@as_root
def test_root__is_warned_once_and_told_what_to_set(lab):
    server = lab(folder="a")
    assert server.log().count("RUN_AS_USER") == 1
    assert "RUN_AS_USER" not in lab(folder="b", RUN_AS_USER="root").log()


@as_root
def test_root__as_the_first_process_of_a_container_is_not_warned(tmp_path):
    if subprocess.run(["unshare", "--fork", "--pid", "true"], capture_output=True).returncode != 0:
        pytest.skip("no process namespaces here")

    class First(Lab):
        command = ["unshare", "--fork", "--pid", "--kill-child", str(LAB)]

    server = First(tmp_path)
    server.command = [*First.command, *Lab.command[1:]]
    try:
        server.start()
        assert "RUN_AS_USER" not in server.log()
    finally:
        server.kill()


@as_root
def test_another_user__needs_no_setting_and_gains_nothing_by_it(open_folder):
    done = as_user(open_folder, BINARY, "serve", "--set", "RUN_AS_USER=no-such-user", "--set", f"PORT={low_port()}",
                   "--set", "HOST=127.0.0.1")
    assert done.returncode == 1 and "may not be opened by this user" in done.stderr, done.stderr
