# SPDX-License-Identifier: MIT
"""The load generator tells the truth: against the server, and against stubs that do to it what it must notice."""
import json
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import harness
from harness import PATIENCE

PACED = harness.BINARY.parent / "loadtest" / "paced"
ROUTES = {"/api/certificates/templates", "/api/certificates/public", "/health"}
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def paced(port, **options):
    words = [word for key, value in options.items() for word in ("--" + key.replace("_", "-"), str(value))]
    done = subprocess.run([str(PACED), "--port", str(port), *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE, env=harness.environment({}))
    harness.assert_no_report(done.stderr)
    assert done.returncode == 0, done.stderr
    assert done.stderr.split() == ["measuring", "measured"]
    return json.loads(done.stdout)


class Stub:
    """A server in a thread, one connection after the other; `answer(number of the request)` gives bytes, or None to hang up."""

    def __init__(self, answer):
        self.answer, self.requests = answer, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()

    def _run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                try:
                    self._serve(connection)
                except OSError:
                    pass                 # the client has had enough

    def _serve(self, connection):
        data = b""
        while received := connection.recv(65536):
            data += received
            while b"\r\n\r\n" in data:
                request, data = data.split(b"\r\n\r\n", 1)
                self.requests.append(request.decode())
                answer = self.answer(len(self.requests))
                if answer is None:
                    return
                connection.sendall(answer)


def one_user(port, **more):
    """Asks every ten milliseconds."""
    return paced(port, **{"users": 1, "think_min": 10, "think_max": 10, "ramp": 0, "warmup": 0, "seconds": 2, **more})


def test_fifty_users_on_the_server_without_a_failure(mariadb, serve):
    server = serve(RATE_LIMIT_ENABLED="True", TRUSTED_PROXIES="127.0.0.0/8", CACHE_TTL=1)
    result = paced(server.port, users=50, processes=2, ramp=300, warmup=1, seconds=5)
    assert result["failures"]["total"] == result["warm_failures"]["total"] == 0
    assert result["statuses"] == {"200": result["answers"]}
    assert 50 * 5 / 3 <= result["answers"] <= 50 * 5
    assert result["opened"] == 50 and result["closed_by_server"] == 0
    for kind in ("intended_ms", "sent_ms"):
        told = result[kind]
        assert set(told) == ROUTES | {"all"}
        assert sum(told[route]["count"] for route in ROUTES) == told["all"]["count"] == result["answers"]
        for of in told.values():
            assert 0 < of["p50"] <= of["p90"] <= of["p95"] <= of["p99"] <= of["p999"] <= of["max"]
    for route in ROUTES:
        assert result["intended_ms"][route]["max"] >= result["sent_ms"][route]["max"]
    assert result["intended_ms"]["/api/certificates/templates"]["count"] > result["intended_ms"]["/health"]["count"]
    assert server.metrics()["limits"]["clients"] >= 50      # each had an address of its own


def test_who_waits_is_charged_with_what_was_not_asked_meanwhile():
    """One stall of 300 ms among 200 requests is one slow request to who counts from the sending. From the moments at which
    the user meant to ask, it is thirty: a tenth of all waited 100 ms or more."""
    stalled = []

    def stall_once(number):
        if number == 50:
            stalled.append(number)
            time.sleep(0.3)
        return GOOD

    with Stub(stall_once) as stub:
        result = one_user(stub.port)
    assert stalled and result["failures"]["total"] == 0
    intended, sent = result["intended_ms"]["all"], result["sent_ms"]["all"]
    assert intended["count"] == sent["count"] == len(stub.requests) == 200
    assert intended["max"] >= 299 and sent["max"] >= 299
    assert intended["p90"] >= 90 and intended["p95"] >= 190
    assert sent["p90"] < intended["p90"] / 2


def test_percentiles_are_never_too_short():
    """Every tenth answer takes 30 ms, every hundredth 90."""
    def slow(number):
        time.sleep(0.09 if number % 100 == 50 else 0.03 if number % 10 == 0 else 0)
        return GOOD

    with Stub(slow) as stub:
        result = one_user(stub.port, think_min=20, think_max=20, seconds=2)
    sent = result["sent_ms"]["all"]
    assert sent["count"] == 100
    assert sent["p95"] >= 30 and sent["p999"] >= 90 and sent["max"] >= 90
    assert sent["mean"] >= (9 * 30 + 90) / 100
    assert sent["p50"] < sent["p95"] < sent["p999"]


FAULTS = {
    "status": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}",
    "broken": None,
    "broken within": GOOD[:-1],
    "malformed": b"ICY 200 OK\r\n\r\n",
    "malformed without length": b"HTTP/1.1 200 OK\r\n\r\n",
    "malformed with more": GOOD + b"more",
    "timeout": b"",
}


def meet(fault):
    """Five requests to a stub with that fault."""
    def answered(number):
        return None if fault.startswith("broken") and number % 2 == 0 else FAULTS[fault]

    with Stub(answered) as stub:
        return one_user(stub.port, think_min=200, think_max=200, seconds=1, timeout=1)


@pytest.fixture(scope="module")
def met():
    """All of them at once, as each takes seconds."""
    with ThreadPoolExecutor(len(FAULTS)) as pool:
        return dict(zip(FAULTS, pool.map(meet, FAULTS)))


@pytest.mark.parametrize("fault", FAULTS)
def test_each_way_to_fail_is_seen(met, fault):
    kind, result = fault.split()[0], met[fault]
    counted = {name: count for name, count in result["failures"].items() if count}
    allowed = {kind, "total"} | ({"unsent", "timeout"} if kind in ("timeout", "broken") else set())
    assert counted[kind] > 0 and set(counted) <= allowed, counted
    assert result["failures"]["total"] == 5
    assert result["intended_ms"]["all"]["count"] == 0


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    result = one_user(port, think_min=200, think_max=200, seconds=1)
    assert result["failures"]["connect"] == result["failures"]["total"] == 5


def test_a_head_in_pieces_and_a_connection_that_ends_are_no_failures():
    def answered(number):
        return GOOD.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")

    class Slow(Stub):
        def _serve(self, connection):
            for byte in self._one(connection):
                connection.sendall(bytes([byte]))
                time.sleep(0.0005)

        def _one(self, connection):
            self.requests.append(connection.recv(65536).decode())
            return self.answer(len(self.requests))

    with Slow(answered) as stub:
        result = one_user(stub.port, think_min=200, think_max=200, seconds=1)
    assert result["failures"]["total"] == 0
    assert result["answers"] == result["opened"] == len(stub.requests) == 5


@pytest.mark.parametrize("words", [["--users", "0"], ["--users"], ["--nothing", "1"], ["--think-min", "9", "--think-max", "8"],
                                   ["--port", "x"]])
def test_wrong_options_are_refused(words):
    assert subprocess.run([str(PACED), *words], capture_output=True, timeout=PATIENCE).returncode == 64
