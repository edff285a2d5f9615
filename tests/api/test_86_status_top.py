# SPDX-License-Identifier: MIT
"""`sanad status` and `sanad top`: another process that looks at the running server, on a terminal and in a pipe."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from harness import BINARY, PATIENCE, Server, assert_no_report, environment, process_state, sanad, wait_for

pyte = pytest.importorskip("pyte")       # Debian's python3-pyte: what a terminal makes of the bytes

WITH = dict(MAX_WORKERS=2, RATE_LIMIT_ENABLED="True", TRUSTED_PROXIES="127.0.0.1", RATE_LIMIT_PER_MINUTE=5)


def ask(server, times, target="/api/spas", client="192.0.2.1"):
    with server.connect() as wire:
        return [wire.get(target, {"X-Forwarded-For": client}).status for _ in range(times)]


def status(server):
    return json.loads(sanad(server.folder, "status", "--json").stdout)


def crash(server):
    """The master as `kill -9` leaves it: its workers notice, its PID_FILE stays."""
    workers = server.workers()
    server.process.send_signal(signal.SIGKILL)
    server.process.wait(PATIENCE)
    wait_for(lambda: all(process_state(pid) in ("", "Z") for pid in workers), "its workers to end")


# -- status --------------------------------------------------------------------------------------------------------

def test_status__json(serve):
    server = serve(**WITH)
    assert ask(server, 8).count(429) == 3
    assert ask(server, 2, "/nowhere", client="192.0.2.2") == [404, 404]
    told = status(server)
    assert told["state"] == "serving" and told["pid"] == server.process.pid
    assert told["listening"] == [f"http://127.0.0.1:{server.port}"]
    assert re.fullmatch(r"\d+\.\d+.*", told["version"]) and 0 < told["uptime_seconds"] < 3600
    assert told["requests"]["answered"] >= 11 and told["requests"]["errors"] == 0
    assert told["limiter"] == {"allowed": 7, "refused": 3, "clients": 2}
    assert told["cache"]["hits"] + told["cache"]["misses"] == 5 and told["cache"]["hits"] >= 3
    assert told["cache"]["hit_ratio"] == told["cache"]["hits"] / 5
    assert told["pool"]["waiting"] == 0 and told["pool"]["max"] >= told["pool"]["size"] > 0
    assert sorted(row["pid"] for row in told["workers"]) == sorted(server.workers())
    for row in told["workers"]:
        assert row["state"] == "ready" and row["restarts"] == 0 and 0 <= row["heartbeat_age_ms"] < PATIENCE * 1000
        assert row["rss_bytes"] > 0 and 0 < row["age_seconds"] <= told["uptime_seconds"] + 1
    assert sum(row["requests"] for row in told["workers"]) == told["requests"]["answered"]


def test_status__agrees_with_metrics(serve):
    server = serve(**WITH)
    ask(server, 4)
    metrics, told = server.metrics(), status(server)
    assert told["pool"]["size"] == metrics["pool_size"] and told["pool"]["max"] == metrics["pool"]["max"]
    assert told["requests"]["answered"] == metrics["http"]["requests"] + 1     # the one that asked for them


def test_status__text(serve):
    server = serve(**WITH)
    ask(server, 3)
    text = sanad(server.folder, "status").stdout
    assert f"process {server.process.pid}" in text and "serving" in text
    assert f"http://127.0.0.1:{server.port}" in text
    assert "3 let through, 0 refused; 1 clients known" in text
    for pid in server.workers():
        assert re.search(rf"^ +\d +{pid} ready ", text, re.M), text
    assert max(map(len, text.splitlines())) <= 110


def test_status__tells_a_replaced_worker(serve):
    server = serve(**WITH)
    before = server.workers()
    os.kill(before[0], signal.SIGKILL)
    wait_for(lambda: [row["state"] for row in status(server)["workers"]].count("ready") == 2
             and before[0] not in server.workers(), "the worker to be replaced")
    assert sum(row["restarts"] for row in status(server)["workers"]) == 1


def refused(folder, *arguments, **settings):
    """Exit status 1, one line on standard error, and the same in JSON."""
    done = sanad(folder, "status", "--json", *arguments, settings=settings, status=1)
    line, = done.stderr.splitlines()
    told = json.loads(done.stdout)
    assert told["state"] == "down" and line == f"sanad status: {told['reason']}"
    assert sanad(folder, "status", *arguments, settings=settings, status=1).stdout == ""
    assert line in sanad(folder, "top", "--batch", *arguments, settings=settings, status=1).stderr.replace(" top:", " status:")
    return line


def test_status__no_server(serve, tmp_path):
    assert "no server is running here; PID_FILE says where to look: data/sanad.pid" in refused(tmp_path)
    assert "PID_FILE is empty" in refused(tmp_path, "--set", "PID_FILE=")
    server = serve(**WITH)
    crash(server)
    assert (server.folder / "data" / "sanad.pid").exists()
    assert "was left behind by one that was killed" in refused(server.folder)
    server.start()
    assert status(server)["pid"] == server.process.pid


def test_status__after_a_stop(serve):
    server = serve(**WITH)
    server.stop()
    assert "no server is running here" in refused(server.folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be another user")
def test_status__of_another_user(serve):
    server = serve(**WITH)
    path = server.folder / "data" / "sanad.pid"
    for folder in [path.parent, *path.parents]:
        if folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(folder.stat().st_mode | 0o055)
    command = [str(BINARY), "status", "--set", f"PID_FILE={path}"]
    for mode, said in ((0o600, "Permission denied; run this as the server's user"), (0o644, "is another user's")):
        path.chmod(mode)
        done = subprocess.run(command, cwd="/", env=environment({}), capture_output=True, text=True, timeout=PATIENCE,
                              user=65534, group=65534, extra_groups=[])
        assert done.returncode == 1 and said in done.stderr, done


def test_status__of_a_process_that_is_no_server(serve, tmp_path):
    """Whoever holds the lock of the file is looked at; he need not be ours."""
    path = tmp_path / "other.pid"
    with path.open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        assert f"process {os.getpid()} is no server" in refused(tmp_path, "--set", f"PID_FILE={path}")


def memory_of(pid):
    """The server's shared memory, as a file."""
    for name in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{name}"
        if os.readlink(path).startswith("/memfd:sanad "):
            return open(path, "r+b", buffering=0)
    raise AssertionError("no shared memory")


def test_status__of_another_version(serve):
    server = serve(**WITH)
    with memory_of(server.process.pid) as memory:
        was = os.pread(memory.fileno(), 16, 0)
        os.pwrite(memory.fileno(), b"sanad 99.9".ljust(16, b"\0"), 0)
        assert "is of another version: 99.9, this is" in refused(server.folder)
        os.pwrite(memory.fileno(), was, 0)
        at, size = part_of(memory, b"workers")
        os.pwrite(memory.fileno(), struct.pack("<Q", size - 8), at + 24)
        assert "another build" in refused(server.folder)
        os.pwrite(memory.fileno(), struct.pack("<Q", 1 << 60), at + 16)
        assert "another build" in refused(server.folder)


def part_of(memory, name):
    """Where the directory has a part's row (name 16, offset 8, size 8), and the part's size."""
    head = os.pread(memory.fileno(), 4096, 0)
    at = head.index(name + b"\0", 16)
    return at, struct.unpack_from("<Q", head, at + 24)[0]


def test_status__when_no_worker_is_ready(serve):
    """A master whose workers cannot be: still found, and not well."""
    server = serve(**{**WITH, "MAX_WORKERS": 1})
    worker, = server.workers()
    os.kill(server.process.pid, signal.SIGSTOP)          # it does not replace
    os.kill(worker, signal.SIGSTOP)
    try:
        told = wait_for(lambda: (status(server)["workers"][0]["heartbeat_age_ms"] > 1500) and status(server), "silence")
        assert told["workers"][0]["pid"] == worker
    finally:
        os.kill(worker, signal.SIGCONT)
    with memory_of(server.process.pid) as memory:        # as it is between a death and the next fork
        at, _ = part_of(memory, b"workers")
        data = bytearray(os.pread(memory.fileno(), 65536, struct.unpack("<Q", os.pread(memory.fileno(), 8, at + 16))[0]))
        where = struct.unpack("<Q", os.pread(memory.fileno(), 8, at + 16))[0] + data.index(struct.pack("<i", worker)) + 4
        was = os.pread(memory.fileno(), 4, where)
        os.pwrite(memory.fileno(), struct.pack("<i", 1), where)     # starting
        try:
            done = sanad(server.folder, "status", status=1)
            assert "starting" in done.stdout and "no worker is ready" in done.stderr
        finally:
            os.pwrite(memory.fileno(), was, where)
            os.kill(server.process.pid, signal.SIGCONT)


def test_looking__changes_nothing(serve):
    """The mapping is read-only, and the server counts the same afterwards."""
    server = serve(**WITH)
    ask(server, 6)
    before = server.metrics()
    for _ in range(3):
        sanad(server.folder, "status")
        sanad(server.folder, "limits")
    sanad(server.folder, "top", "--batch", "--interval", "1")
    after = server.metrics()
    assert after["http"]["requests"] == before["http"]["requests"] + 1
    assert after["limits"]["allowed"] == before["limits"]["allowed"] == 5
    assert ask(server, 1) == [429]


# -- top, printed ----------------------------------------------------------------------------------------------------

class Load:
    """Requests at a leisurely pace, until told otherwise."""

    def __init__(self, server, target="/api/spas?limit=3"):
        code = ("import sys,time,http.client\n"
                "while True:\n"
                "    try:\n"
                "        c = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]), timeout=10)\n"
                "        while True:\n"
                "            c.request('GET', sys.argv[2]); c.getresponse().read(); time.sleep(.01)\n"
                "    except OSError: time.sleep(.05)\n")
        self.process = subprocess.Popen(["/usr/bin/python3", "-c", code, str(server.port), target])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def test_top__batch(serve):
    server = serve(MAX_WORKERS=2)
    with Load(server, "/api/certificates/public?limit=5"):
        text = sanad(server.folder, "top", "--batch", "--interval", "1").stdout
    views = re.split(r"^-- (\w+)$", text, flags=re.M)
    assert f"process {server.process.pid}" in views[0] and f"127.0.0.1:{server.port}" in views[0]
    views = dict(zip(views[1::2], views[2::2]))
    assert list(views) == ["overview", "routes", "statements", "workers", "clients"]
    assert float(re.search(r"^requests +([\d.]+)/s", views["overview"], re.M).group(1)) > 0
    assert re.search(r"^latency +p50 [\d.]+ m?s  p95 [\d.]+ m?s  p99 [\d.]+ m?s", views["overview"], re.M)
    assert "2 of 2 ready" in views["overview"]
    route, = re.findall(r"^ +([\d.]+) .* GET /api/certificates/public$", views["routes"], re.M)
    assert float(route) > 0
    assert re.search(r" certificate_public_\w+$", views["statements"], re.M)
    for pid in server.workers():
        assert re.search(rf"^ +{pid} .* ready$", views["workers"], re.M)


def test_top__batch_of_one_view_several_times(serve):
    server = serve(**WITH)
    ask(server, 9, client="2001:db8::7")
    text = sanad(server.folder, "top", "--batch", "--interval", "1", "--count", "2", "--view", "clients").stdout
    assert text.count("-- clients") == 2 and "-- routes" not in text
    assert re.search(r"^ +5 +5 +4 +\d+ s  api 2001:db8::/64$", text, re.M), text


@pytest.mark.parametrize("arguments, said", [
    (["--interval", "0"], "--interval 0: wants seconds"),
    (["--batch", "--count", "x"], "--count x: wants a number"),
    (["--count", "2"], "--count is of --batch"),
    (["--view", "everything"], "--view everything: wants overview"),
    (["now"], "now is one argument too many"),
])
def test_top__usage(tmp_path, arguments, said):
    assert said in sanad(tmp_path, "top", *arguments, status=64).stderr


def test_top__without_a_terminal(serve):
    done = sanad(serve(**WITH).folder, "top", status=1)
    assert "no terminal" in done.stderr and "--batch" in done.stderr


# -- top, on a terminal ------------------------------------------------------------------------------------------------

class Terminal:
    """A program on a terminal of its own, and what stands on its screen."""

    def __init__(self, server, *arguments, lines=24, columns=80, **variables):
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.master, self.slave = pty.openpty()
        self.resize(lines, columns)
        self.before = termios.tcgetattr(self.slave)
        self.bytes = b""
        settings = {"TERM": "xterm-256color", "LANG": "C.UTF-8", **variables}
        self.errors = server.folder / "top.err"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen([str(BINARY), "top", *arguments], cwd=server.folder, stdin=self.slave,
                                            stdout=self.slave, stderr=errors, start_new_session=True,
                                            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
                                            env=environment(settings))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.slave)
        if self.master is not None:
            os.close(self.master)

    def resize(self, lines, columns):
        self.screen.resize(lines, columns)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, keys):
        os.write(self.master, keys)

    def read(self):
        while select.select([self.master], [], [], 0)[0]:
            data = os.read(self.master, 65536)
            self.bytes += data
            self.stream.feed(data)
        return "\n".join(line.rstrip() for line in self.screen.display)

    def shows(self, pattern):
        """Waits until the screen has the pattern; its match."""
        def look():
            text = self.read()
            assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.errors.read_text()}"
            return re.search(pattern, text, re.M)
        try:
            return wait_for(look, pattern)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.read()}") from None

    def ends(self):
        """It has ended well, and left the terminal as it was."""
        def ended():
            self.read()
            return self.process.poll() is not None
        wait_for(ended, "it to end")
        self.read()
        assert_no_report(self.errors.read_text())
        assert self.process.returncode == 0, self.errors.read_text()
        assert termios.tcgetattr(self.slave) == self.before
        assert self.bytes.rstrip().rfind(b"\x1b[?1049l") > self.bytes.rfind(b"\x1b[?1049h"), "the screen was not given back"
        assert b"\x1b[?25h" in self.bytes[self.bytes.rfind(b"\x1b[?25l"):], "the cursor is still hidden"


def answered(terminal):
    return int(terminal.shows(r"^answered +(\d+) since the start").group(1))


def test_top__shows_what_rises_and_ends_with_q(serve):
    server = serve(MAX_WORKERS=2)
    with Load(server), Terminal(server, "--interval", "1") as terminal:
        terminal.shows(rf"^ sanad \S+  process {server.process.pid}  up .*127\.0\.0\.1:{server.port}")
        first = answered(terminal)
        wait_for(lambda: answered(terminal) > first, "the count to rise")
        terminal.shows(r"^requests +[1-9][\d.]*/s +[▁-█]")
        terminal.shows(r"GET /api/spas$")
        terminal.type(b"q")
        terminal.ends()


def test_top__keys(serve):
    server = serve(**WITH)
    ask(server, 9)
    with Terminal(server, "--interval", "1") as terminal:
        for key, head in ((b"2", "ROUTE"), (b"3", "STATEMENT"), (b"4", "RESTARTS  WORKER"), (b"5", "SEEN  CLIENT")):
            terminal.type(key)
            terminal.shows(rf" {head}$")
        terminal.shows(r" 5 +5 +4 +\d+ s  api 192\.0\.2\.1$")
        terminal.type(b"\t")
        terminal.shows(r"^latency ")
        terminal.type(b"\x1b[C")                   # right
        terminal.shows(r"  ROUTE$")
        terminal.type(b"a")
        terminal.shows(r"since the start$")
        terminal.type(b"?")
        terminal.shows(r"^space +pauses")
        terminal.type(b"?+")
        terminal.shows(r"every 2 s")
        terminal.type(b"-")
        terminal.shows(r"every 1 s")
        terminal.type(b"q")
        terminal.ends()


def test_top__pause(serve):
    server = serve(MAX_WORKERS=1)
    with Load(server), Terminal(server, "--interval", "1") as terminal:
        terminal.shows(r"last \d")
        terminal.type(b" ")
        terminal.shows(r"^PAUSED")
        stopped = answered(terminal)
        time.sleep(1.5)
        assert answered(terminal) == stopped
        terminal.type(b" ")
        wait_for(lambda: answered(terminal) > stopped, "it to go on")
        terminal.type(b"q")
        terminal.ends()


def marked(terminal):
    """The column head that is underlined."""
    for row in range(terminal.screen.lines):
        text = "".join(cell.data for cell in (terminal.screen.buffer[row][x] for x in range(terminal.screen.columns))
                       if cell.underscore)
        if text.strip():
            return text.strip()
    return None


def test_top__sorting(serve):
    server = serve(MAX_WORKERS=1)
    ask(server, 2)
    ask(server, 5, "/nowhere")
    with Terminal(server, "--interval", "1", "--view", "routes") as terminal:
        terminal.type(b"a")
        terminal.shows("since the start")
        terminal.shows(r"_OTHER|unmatched")
        assert marked(terminal) == "REQ/S"
        terminal.type(b"s")
        wait_for(lambda: terminal.read() and marked(terminal) == "MEAN", "the next column")
        terminal.type(b"sssss")
        wait_for(lambda: terminal.read() and marked(terminal) == "REQ/S", "the first column again")
        rates = re.findall(r"^ +([\d.]+) .* (?:GET|_OTHER) \S+$", terminal.read(), re.M)
        assert len(rates) >= 2 and [float(rate) for rate in rates] == sorted(map(float, rates), reverse=True)
        terminal.type(b"q")
        terminal.ends()


@pytest.mark.parametrize("lines, columns", [(24, 80), (50, 160), (10, 40), (3, 20), (1, 1)])
def test_top__any_size(serve, lines, columns):
    server = serve(MAX_WORKERS=2)
    ask(server, 3)
    with Terminal(server, "--interval", "1") as terminal:
        terminal.shows(r"^latency ")
        terminal.resize(lines, columns)               # the kernel sends SIGWINCH
        if columns >= 80:
            wait_for(lambda: terminal.read() and terminal.screen.display[lines - 1].startswith("q quit"), "the last line")
        elif lines >= 10:
            terminal.shows(r"^requests ")
        for key in b"12345?":
            terminal.type(bytes([key]))
            time.sleep(0.05)
            terminal.read()
        terminal.type(b"q")
        terminal.ends()


def test_top__nothing_is_cut_on_the_usual_size(serve):
    """80 columns hold every line of the overview and of the lists' heads."""
    server = serve(**WITH)
    with Load(server), Terminal(server, "--interval", "1", columns=160) as terminal:
        terminal.shows(r"last \d")
        for key, head in zip(b"12345?", ("latency", " ROUTE$", "STATEMENT$", "WORKER$", "CLIENT$", "quits$")):
            terminal.type(bytes([key]))
            terminal.shows(head)
            rows = terminal.read().splitlines()
            assert [row for row in rows[2:] if len(row) > 80 and not set(row) & set("▁▂▃▄▅▆▇█")] == []
        terminal.type(b"q")
        terminal.ends()


def test_top__follows_a_server_that_is_restarted(serve):
    server = serve(MAX_WORKERS=2)
    with Terminal(server, "--interval", "1") as terminal:
        terminal.shows(rf"process {server.process.pid} ")
        before = server.process.pid
        crash(server)
        terminal.shows(r"^GONE  no server is running here")
        terminal.shows(rf"process {before} ")         # the last that was seen stays
        server.start()
        terminal.shows(rf"^the server is process {server.process.pid} now; before it was {before}$")
        terminal.shows(rf"^ sanad \S+  process {server.process.pid}  up .*:{server.port}")
        first = answered(terminal)
        ask(server, 5)
        wait_for(lambda: answered(terminal) >= first + 5, "the new one's requests")
        server.stop()
        terminal.shows(r"^GONE")
        terminal.type(b"q")
        terminal.ends()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_top__signals_leave_the_terminal_as_it_was(serve, number):
    with Terminal(serve(MAX_WORKERS=1)) as terminal:
        terminal.shows(r"^latency ")
        if number == signal.SIGINT:
            terminal.type(b"\x03")
        else:
            terminal.process.send_signal(number)
        terminal.ends()


def test_top__a_terminal_that_is_gone_ends_it(serve):
    with Terminal(serve(MAX_WORKERS=1)) as terminal:
        terminal.shows(r"^latency ")
        os.close(terminal.master)
        terminal.master = None
        terminal.process.wait(PATIENCE)


@pytest.mark.parametrize("variables, colours, curve", [
    ({}, True, "▁█"), ({"TERM": "vt100"}, False, None), ({"NO_COLOR": "1"}, False, None), ({"LANG": "C"}, True, "_#"),
])
def test_top__uses_what_the_terminal_has(serve, variables, colours, curve):
    server = serve(MAX_WORKERS=1)
    with Load(server), Terminal(server, "--interval", "1", **variables) as terminal:
        terminal.shows(r"^latency +p50")
        assert bool(re.search(rb"\x1b\[[\d;]*3[0-7][\d;]*m", terminal.bytes)) == colours
        if curve:
            terminal.shows(rf"^requests +[\d.]+/s +[{curve}]")
        if "LANG" in variables:
            assert max(terminal.bytes) < 0x80
        terminal.type(b"q")
        wait_for(lambda: (terminal.read(), terminal.process.poll() is not None)[1], "it to end")
        assert terminal.process.returncode == 0


def test_top__a_terminal_of_which_nothing_is_known(serve):
    with Terminal(serve(MAX_WORKERS=1), TERM="nonsense") as terminal:
        terminal.process.wait(PATIENCE)
        assert terminal.process.returncode == 1
        assert "TERM" in terminal.errors.read_text() and "--batch" in terminal.errors.read_text()
