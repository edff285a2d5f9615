# SPDX-License-Identifier: MIT
"""Under systemd: what it is told, the sockets that it lends, and the unit's sandbox."""
import ctypes
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from clients import Clients
from harness import BINARY, DEFAULTS, ROOT, Lab, Server, Wire, environment, sanad, wait_for

UNITS = ("sanad.service", "sanad.socket")
EXPOSURE = 1.5          # what `systemd-analyze security` may say at most, of 10


class Manager:
    """The end of NOTIFY_SOCKET."""

    def __init__(self, name):
        self.name = str(name)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind("\0" + self.name[1:] if self.name[0] == "@" else self.name)
        self.socket.setblocking(False)
        self.heard = []                                        # (process id, {key: value})

    def listen(self):
        while True:
            try:
                data, ancillary, *_ = self.socket.recvmsg(4096, socket.CMSG_SPACE(12))
            except BlockingIOError:
                return self.heard
            pid = int.from_bytes(ancillary[0][2][:4], sys.byteorder)
            self.heard.append((pid, dict(line.split("=", 1) for line in data.decode().split("\n"))))

    def told(self, key):
        return [words[key] for _, words in self.listen() if key in words]


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    return Manager(tmp_path / "notify" if request.param == "path" else f"@sanad-test-{os.getpid()}-{tmp_path.name}")


# -- what it is told ----------------------------------------------------------------------------------------------------

def test_notify__ready_when_all_serve_and_stopping_at_the_end(tmp_path, manager):
    with Lab(tmp_path, {"NOTIFY_SOCKET": manager.name, "MAX_WORKERS": 3}) as server:
        wait_for(lambda: manager.told("READY") == ["1"], "READY")
        master = server.process.pid
        assert {pid for pid, _ in manager.heard} == {master}
        assert manager.told("STATUS")[0].startswith("3 workers, listening on 127.0.0.1:")
        assert manager.told("STOPPING") == []
    assert manager.told("STOPPING") == ["1"]
    assert {pid for pid, _ in manager.heard} == {master}


def test_notify__not_ready_when_it_cannot_start(tmp_path, manager):
    (tmp_path / "sanad.db").write_text("no database " * 100)
    sanad(tmp_path, "serve", settings={**DEFAULTS, "DB_PATH": "sanad.db", "NOTIFY_SOCKET": manager.name}, status=1)
    assert manager.told("READY") == []


def test_notify__watchdog_as_long_as_workers_are_alive(tmp_path, manager):
    settings = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": 2_000_000}
    with Lab(tmp_path, settings) as server:
        wait_for(lambda: len(manager.told("WATCHDOG")) >= 2, "signs of life")
        assert {pid for pid, words in manager.heard if "WATCHDOG" in words} == {server.process.pid}


def test_notify__no_watchdog_for_another(tmp_path, manager):
    settings = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": 300_000, "WATCHDOG_PID": 1}
    with Lab(tmp_path, settings) as server:
        for _ in range(20):
            server.get("/slow?ms=50")
        assert manager.told("READY") == ["1"] and manager.told("WATCHDOG") == []


@pytest.mark.parametrize("name", ["", "nonsense", "/no/such/socket", "@nobody-listens-here", "/" + "x" * 300])
def test_notify__nobody_to_tell_is_no_trouble(tmp_path, name):
    with Lab(tmp_path, {"NOTIFY_SOCKET": name}) as server:
        assert server.get("/health").status == 200


# -- sockets that it lends -------------------------------------------------------------------------------------------------

class Activated(Lab):
    """Started with sockets at descriptors 3, 4, ..."""

    def __init__(self, folder, settings, sockets, pid="$$"):
        super().__init__(folder, settings)
        moves = " ".join(f"{3 + at}<&{one.fileno()}" for at, one in enumerate(sockets))
        self.command = ["bash", "-c", f"export LISTEN_PID={pid} LISTEN_FDS={len(sockets)} LISTEN_FDNAMES=a:b; "
                                      f'exec "$0" serve {moves}', *self.command[:1]]
        self.sockets = sockets

    def start(self):
        real = subprocess.Popen
        try:
            subprocess.Popen = lambda *a, **k: real(*a, **k, pass_fds=[one.fileno() for one in self.sockets])
            return super().start()
        finally:
            subprocess.Popen = real


def high(one):
    """The same socket at a descriptor out of the way of 3, 4, ..."""
    fd = fcntl.fcntl(one.fileno(), fcntl.F_DUPFD_CLOEXEC, 100)
    family = one.family
    one.close()
    return socket.socket(family, socket.SOCK_STREAM, fileno=fd)


def tcp_socket():
    one = socket.socket()
    one.bind(("127.0.0.1", 0))
    one.listen(64)
    return high(one)


def unix_socket(path, kind=socket.SOCK_STREAM, listening=True):
    one = socket.socket(socket.AF_UNIX, kind)
    one.bind(str(path))
    if listening:
        one.listen(64)
    return high(one)


def test_activation__several_sockets_in_the_place_of_host_and_port(tmp_path):
    tcp, local = tcp_socket(), unix_socket(tmp_path / "lent.sock")
    port = tcp.getsockname()[1]
    settings = {"HOST": "127.0.0.9", "PORT": 1, "MAX_WORKERS": 3}
    with Activated(tmp_path, settings, [tcp, local]) as server:
        assert server.port == port
        assert f"listening on  127.0.0.1:{port}, unix:{tmp_path}/lent.sock," in server.log()
        for place in (port, str(tmp_path / "lent.sock")):
            with Clients(place, threads=4, requests_a_connection=1) as clients:
                wait_for(lambda: clients.pids == set(server.workers()), "each worker to answer")
            assert clients.failures == []
    assert (tmp_path / "lent.sock").exists()   # systemd's, not ours


def test_activation__who_comes_while_it_restarts_waits(tmp_path):
    tcp = tcp_socket()
    port = tcp.getsockname()[1]
    with Clients(port, threads=6, requests_a_connection=3) as clients:
        for _ in range(3):
            with Activated(tmp_path, {}, [tcp]):
                at = clients.answered
                wait_for(lambda: clients.answered > at + 60, "some load")
        with Activated(tmp_path, {}, [tcp]):
            clients.finish()
    assert clients.failures == []


def test_activation__sockets_for_another_process_are_not_ours(tmp_path):
    tcp = tcp_socket()
    with Activated(tmp_path, {}, [tcp], pid=1) as server:
        assert server.port != tcp.getsockname()[1]


@pytest.mark.parametrize("kind", ["datagram", "deaf", "closed", "many"])
def test_activation__what_does_not_listen_is_told(tmp_path, kind):
    made = {"datagram": lambda: [unix_socket(tmp_path / "d", socket.SOCK_DGRAM, listening=False)],
            "deaf": lambda: [unix_socket(tmp_path / "s", listening=False)], "closed": list, "many": list}[kind]()
    count = {"many": 1000, "closed": 1}.get(kind, 1)
    moves = " ".join(f"{3 + at}<&{one.fileno()}" for at, one in enumerate(made))
    done = subprocess.run(["bash", "-c", f'export LISTEN_PID=$$ LISTEN_FDS={count}; exec "$0" serve {moves}', BINARY],
                          cwd=tmp_path, env=environment({**DEFAULTS, "DB_PATH": "x.db"}), capture_output=True, text=True,
                          pass_fds=[one.fileno() for one in made], timeout=60)
    assert done.returncode == 1 and "LISTEN_FDS" in done.stderr, done.stderr
    assert not (tmp_path / "x.db").exists()


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="Debian's systemd is not here")
def test_activation__by_systemd_itself(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    class BySystemd(Lab):
        command = ["systemd-socket-activate", "-l", f"127.0.0.1:{port}", "-l", str(tmp_path / "a.sock"), "--fdname=a:b",
                   *(f"-E{name}" for name in {**DEFAULTS, **environment({}), "DB_PATH": ""}), *Lab.command]

        def start(self):
            ready = super()._ready_line
            self.caller = None

            def knock(start_at):               # the first who comes starts it
                if not self.caller:
                    try:
                        self.caller = Wire(port)
                        self.caller.send(b"GET /health HTTP/1.1\r\nHost: t\r\n\r\n")
                    except ConnectionRefusedError:
                        pass
                return ready(start_at)

            self._ready_line = knock
            return super().start()

    with BySystemd(tmp_path) as server:
        assert server.port == port
        assert server.caller.response().status == 200
        with Wire(str(tmp_path / "a.sock")) as wire:
            assert wire.get("/health").status == 200
        server.caller.close()


# -- the unit -----------------------------------------------------------------------------------------------------------------

needs_analyze = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="Debian's systemd is not here")


@pytest.fixture
def units(tmp_path):
    """The units as they are, but for where this binary is."""
    for name in UNITS:
        text = (ROOT / "deploy" / name).read_text()
        (tmp_path / name).write_text(text.replace("ExecStart=/usr/bin/sanad", f"ExecStart={BINARY}"))
    return tmp_path


def unit_lines(key):
    return re.findall(rf"^{key}=(.*)$", (ROOT / "deploy" / "sanad.service").read_text(), re.M)


@needs_analyze
def test_units__are_well_formed(units):
    done = subprocess.run(["systemd-analyze", "verify", *(f"./{name}" for name in UNITS)], cwd=units, text=True,
                          capture_output=True)
    mine = [line for line in done.stderr.splitlines() if "sanad" in line and "executable" not in line]
    assert not mine, mine


@needs_analyze
def test_units__are_little_exposed(units):
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", "./sanad.service"], cwd=units,
                          text=True, capture_output=True)
    exposure = float(re.search(r"exposure level for sanad.service: ([\d.]+)", done.stdout).group(1))
    assert exposure <= EXPOSURE, done.stdout


def test_units__leave_time_to_finish():
    grace = int(re.search(r"^#? ?GRACEFUL_TIMEOUT=(\d+)", (ROOT / ".env.example").read_text(), re.M).group(1))
    assert int(unit_lines("TimeoutStopSec")[0]) > grace


def allowed_calls():
    """Names of the system calls that SystemCallFilter= leaves, sets unfolded."""
    def unfold(name):
        if not name.startswith("@"):
            return {name}
        told = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager", name], text=True, capture_output=True,
                              check=True).stdout
        words = [line.strip() for line in told.splitlines()[1:]]
        return set().union(*(unfold(word) for word in words if word and not word.startswith("#")))

    allowed = set()
    for line in unit_lines("SystemCallFilter"):
        names = set().union(*(unfold(word) for word in line.lstrip("~").split()))
        allowed = allowed - names if line.startswith("~") else allowed | names
    return allowed | unfold("@default")


class Confined(Server):
    """In as much of the unit's sandbox as a process can put on itself."""

    def start(self):
        seccomp = pytest.importorskip("seccomp")
        calls = seccomp.SyscallFilter(seccomp.ERRNO(1))
        for name in sorted(allowed_calls()):
            try:
                calls.add_rule(seccomp.ALLOW, name)
            except (RuntimeError, ValueError):
                pass                                            # of another machine or kernel
        real = subprocess.Popen

        def confine():
            ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)            # PR_SET_MDWE, as MemoryDenyWriteExecute=
            calls.load()

        try:
            subprocess.Popen = lambda *a, **k: real(*a, **k, preexec_fn=confine)
            return super().start()
        finally:
            subprocess.Popen = real


@needs_analyze
def test_units__the_program_lives_within_its_calls(tmp_path, database):
    """Every kind of work, with any other call refused: nothing that it needs is missing."""
    options = environment({})["ASAN_OPTIONS"] + ":detect_leaks=0"      # looking for leaks needs ptrace
    settings = {"UNIX_SOCKET": "s.sock", "ACCESS_LOG": "access.log", "SLOW_LOG": "slow.log", "SLOW_QUERY_MS": "1",
                "CACHE_ENABLED": "True", "ASAN_OPTIONS": options}
    with Confined(tmp_path, settings, database=database) as server:
        status = open(f"/proc/{server.workers()[0]}/status").read()
        assert re.search(r"^Seccomp:\t2$", status, re.M), status
        wait_for(lambda: server.get("/health/ready").status == 200, "the database's first sign of life")
        for target in ("/api/spas", "/api/certificates/public", "/api/certificates/templates",
                       "/metrics", "/metrics?format=prometheus"):
            answer = server.get(target, {"Accept-Encoding": "br, gzip"})
            assert answer.status == 200, (target, answer)
        with Wire(str(tmp_path / "s.sock")) as wire:
            assert wire.get("/health").status == 200
        os.kill(server.workers()[0], signal.SIGKILL)
        wait_for(lambda: len(server.workers()) == 2, "another worker")
        os.kill(server.process.pid, signal.SIGUSR1)
        os.kill(server.process.pid, signal.SIGHUP)
        wait_for(server._healthy, "an answer")
        assert "Operation not permitted" not in server.log()
