# SPDX-License-Identifier: MIT
"""The real binary, started as an operator would, and sockets to talk to it.

    with Server(folder, {"MAX_WORKERS": 2}, database=demo) as server:
        answer = server.get("/api/spas")

A server runs in a folder of its own with only the settings given (nothing of
the tester's environment), on a port that the kernel picks. Leaving the block
stops it with SIGTERM and asserts that it exited with 0 and that no sanitizer
had anything to say: each test is also a memory test.
"""
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("SANAD_BIN") or ROOT / "build-test" / "sanad").resolve()
LISTENER = BINARY.parent / "tests" / "lab" / "listener"
LAB = BINARY.parent / "tests" / "lab" / "lab"      # the small application of tests/lab

PATIENCE = 60                    # seconds: for what must happen, on however slow a machine
READY = re.compile(r'ready on http://\S*?:(\d+)/|"message":"ready".*"port":(\d+)'      # LOG_FORMAT text, json
                   r'|ready on unix:(\S+)/\n')
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|runtime error:|WARNING: \w+Sanitizer")

DEFAULTS = {
    "HOST": "127.0.0.1", "PORT": "0", "MAX_WORKERS": "2", "ACCESS_LOG": "", "RATE_LIMIT_ENABLED": "False",
    "GRACEFUL_TIMEOUT": "20", "WEB_DIR": str(ROOT / "web"),
}

CATEGORIES = ("spa_therapist", "manager_salary", "offer_letter", "experience_letter", "appointment_letter",
              "invoice_spa_bill", "id_card", "daily_sheet")


# -- the program ---------------------------------------------------------------------------------------------------

def environment(settings):
    """Only what a program needs to run, and the settings."""
    plain = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8", "TZ": "UTC",
             "ASAN_OPTIONS": "detect_stack_use_after_return=0:strict_string_checks=1",
             "UBSAN_OPTIONS": "print_stacktrace=1"}
    return {**plain, **{key: str(value) for key, value in settings.items()}}


def assert_no_report(text):
    found = SANITIZER.search(text)
    assert not found, f"a sanitizer reported:\n{text[max(0, found.start() - 500):][:8000]}"


def sanad(folder, *arguments, settings=None, status=0, timeout=PATIENCE):
    """Runs a subcommand to its end; asserts its exit status (None: any). Its result, with text output."""
    done = subprocess.run([str(BINARY), *arguments], cwd=folder, env=environment(settings or {}), timeout=timeout,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    assert_no_report(done.stderr)
    assert status is None or done.returncode == status, \
        f"sanad {' '.join(arguments)}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def make_database(folder, certificates=2000, seed=7):
    """A migrated database full of demo data; its path."""
    path = Path(folder) / "demo.db"
    settings = {"DB_PATH": path}
    sanad(folder, "migrate", settings=settings)
    sanad(folder, "demo", "--certificates", str(certificates), "--seed", str(seed), settings=settings, timeout=300)
    with sqlite3.connect(path) as db:      # the copies are of one file only
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def wait_for(condition, what, patience=PATIENCE):
    """The first true value of condition(); fails after `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {patience} s in vain for {what}"
        time.sleep(0.02)


def children(pid):
    """Process ids of the living children of a process."""
    try:
        pids = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [int(child) for child in pids if process_state(child) not in ("", "Z")]


def process_state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        return ""


class Server:
    """A running `sanad serve`."""

    command = [str(BINARY), "serve"]

    def __init__(self, folder, settings=None, database=None):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.db_path = self.folder / "sanad.db"
        self.settings = {**DEFAULTS, "DB_PATH": self.db_path, **(settings or {})}
        self.log_path = self.folder / "stderr.log"
        self.out_path = self.folder / "stdout.log"
        self.process = None
        self.port = None
        if database:
            shutil.copy(database, self.db_path)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.stop()
        else:
            self.kill()

    def start(self):
        with self.log_path.open("ab") as log, self.out_path.open("ab") as out:
            start_at = log.tell()
            self.process = subprocess.Popen(self.command, cwd=self.folder, env=environment(self.settings),
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=log)
        try:
            ready = wait_for(lambda: self._ready_line(start_at), "the ready line")
            self.port = int(ready[1] or ready[2]) if not ready[3] else str(self.folder / ready[3])
            wait_for(self._healthy, "/health to answer")
        except BaseException:
            self.kill()
            raise
        return self

    def _ready_line(self, start_at):
        text = self.log_path.read_bytes()[start_at:].decode(errors="replace") + self.out_path.read_text(errors="replace")
        assert self.process.poll() is None, f"the server ended with {self.process.returncode}:\n{text[-4000:]}"
        return READY.search(text)

    def _healthy(self):
        try:
            return self.get("/health").status == 200
        except (OSError, Closed):
            return False

    def stop(self, status=0):
        """SIGTERM; asserts the exit status and a clean log."""
        self.process.send_signal(signal.SIGTERM)
        self.wait(status)

    def wait(self, status=0):
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not stop:\n{self.log()[-4000:]}") from None
        assert_no_report(self.log())
        assert self.process.returncode == status, f"exit status {self.process.returncode}:\n{self.log()[-4000:]}"

    def kill(self):
        """Ends the master and whatever it started, by their ids."""
        if self.process is None:
            return
        for pid in [self.process.pid, *children(self.process.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    def log(self):
        return self.log_path.read_text(errors="replace")

    def workers(self):
        return children(self.process.pid)

    # -- talking to it ----------------------------------------------------------

    def connect(self, source=None, timeout=PATIENCE):
        return Wire(self.port, source=source, timeout=timeout)

    def request(self, method, target, headers=None, body=b""):
        """One request on a connection of its own."""
        with self.connect() as wire:
            return wire.request(method, target, {"Connection": "close", **(headers or {})}, body)

    def get(self, target, headers=None):
        return self.request("GET", target, headers)

    def metrics(self):
        return self.get("/metrics").json()

    def raw(self, data, half_close=False):
        """Sends bytes, reads until the server closes: every response."""
        with self.connect() as wire:
            wire.send(data)
            if half_close:
                wire.half_close()
            return wire.all_responses()

    def rows(self, sql, *arguments):
        """What the database says itself; each row a dict."""
        db = sqlite3.connect(f"file:{self.db_path}?mode=ro", uri=True)
        db.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in db.execute(sql, arguments)]
        finally:
            db.close()


class Lab(Server):
    """The same service with another application (tests/lab): handlers that count, sleep, hold, fail, crash, echo."""

    command = [str(LAB)]


# -- the wire ------------------------------------------------------------------------------------------------------

class Closed(Exception):
    """The server closed before a whole response had come; .partial is what had."""

    def __init__(self, partial=b""):
        super().__init__(f"closed after {partial[:200]!r}")
        self.partial = partial


class Response:
    """A response as it came: no redirect followed, nothing decoded."""

    def __init__(self, head):
        lines = head.split(b"\r\n")
        parts = lines[0].split(b" ", 2)
        assert len(parts) == 3 and parts[0] in (b"HTTP/1.1", b"HTTP/1.0"), f"not a status line: {lines[0][:200]!r}"
        self.status = int(parts[1])
        self.reason = parts[2].decode()
        self.fields = []
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            assert colon and name == name.strip(), f"not a header line: {line[:200]!r}"
            self.fields.append((name.decode().lower(), value.strip().decode("latin-1")))
        self.body = b""

    def __repr__(self):
        return f"<{self.status} {dict(self.fields)} {self.body[:300]!r}>"

    def all(self, name):
        return [value for key, value in self.fields if key == name.lower()]

    def header(self, name, default=None):
        """The one value of a header; a header sent twice is an error of the server's."""
        values = self.all(name)
        assert len(values) < 2, f"{name} was sent {len(values)} times"
        return values[0] if values else default

    def json(self):
        return json.loads(self.body)

    def links(self):
        """Link header (RFC 8288) as {rel: target}."""
        found = re.findall(r'<([^>]*)>\s*;\s*rel="?([\w ]+)"?', self.header("Link", ""))
        return {rel: target for target, rel in found}


class Wire:
    """A client connection that reads exactly what is sent, byte for byte; `port` may be a Unix socket's path."""

    def __init__(self, port, source=None, timeout=PATIENCE):
        self.buffer = b""
        if isinstance(port, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(port)
            return
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout,
                                               source_address=(source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        """Sends; a server that has already refused and closed is no error here: its answer is read next."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def half_close(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def request(self, method, target, headers=None, body=b""):
        """Sends a well-formed request, reads its response; the connection may go on."""
        fields = {"Host": "sanad.test", **(headers or {})}
        if body:
            fields.setdefault("Content-Length", str(len(body)))
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        self.send("\r\n".join(lines).encode("latin-1") + body)
        return self.response(head=method == "HEAD")

    def get(self, target, headers=None):
        return self.request("GET", target, headers)

    def response(self, head=False):
        """The next final response (1xx are skipped). Closed if the server closes before its end."""
        while True:
            answer = Response(self._until(b"\r\n\r\n")[:-4])
            if answer.status >= 200:
                break
        if head or answer.status in (204, 304):
            return answer
        if "chunked" in answer.header("Transfer-Encoding", ""):
            answer.body = self._chunks()
        elif answer.header("Content-Length") is not None:
            answer.body = self._exactly(int(answer.header("Content-Length")))
        else:
            answer.body = self.rest()
        return answer

    def all_responses(self):
        """Every final response until the server closes."""
        answers = []
        while True:
            try:
                answers.append(self.response())
            except Closed as end:
                assert not end.partial, f"cut short after {len(answers)} responses: {end.partial[:300]!r}"
                return answers

    def rest(self):
        """Everything until the server closes."""
        while self._more():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def closed(self, patience=PATIENCE):
        """Whether the server closes, without another byte, within `patience` seconds."""
        self.socket.settimeout(patience)
        try:
            return not self.buffer and not self._more()
        except socket.timeout:
            return False

    def _more(self):
        try:
            piece = self.socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            piece = b""
        self.buffer += piece
        return bool(piece)

    def _until(self, end):
        while end not in self.buffer:
            if not self._more():
                partial, self.buffer = self.buffer, b""
                raise Closed(partial)
        at = self.buffer.index(end) + len(end)
        data, self.buffer = self.buffer[:at], self.buffer[at:]
        return data

    def _exactly(self, size):
        while len(self.buffer) < size:
            if not self._more():
                raise Closed(self.buffer or b"(head only)")
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def _chunks(self):
        body = b""
        while True:
            size = int(self._until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                while self._until(b"\r\n") != b"\r\n":
                    pass
                return body
            body += self._exactly(size)
            assert self._exactly(2) == b"\r\n", "a chunk without its end"


# -- what many tests assert ------------------------------------------------------------------------------------------

def assert_problem(answer, status, field=None):
    """application/problem+json (RFC 9457) of that status, which names the field."""
    allowed = status if isinstance(status, (set, tuple, list)) else {status}
    assert answer.status in allowed, answer
    assert (answer.header("Content-Type") or "").split(";")[0] == "application/problem+json", answer
    told = answer.json()
    assert told["status"] == answer.status, told
    assert isinstance(told["title"], str) and told["title"], told
    assert isinstance(told["detail"], str) and told["detail"], told
    for secret in (str(ROOT), "SELECT", "sqlite", ".c:"):
        assert secret not in answer.body.decode(), f"the answer gives {secret!r} away"
    if field is not None:
        named = [error["field"] for error in told.get("errors", [])]
        assert field in named, f"{field!r} is not named: {told}"
        assert all(error["message"] for error in told["errors"]), told
    return told
