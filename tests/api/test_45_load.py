# SPDX-License-Identifier: MIT
"""More than there is room for: requests, connections, descriptors; and the access log under load."""
import json
import os
import re
import resource
import select
import selectors
import signal
import socket
import threading
import time

import pytest

import harness
from clients import Clients, errors_in, request_id, route_count
from harness import LAB, Closed, Lab, Server, assert_problem, wait_for


def silent(wires, seconds=0.4):
    """Whether none of these connections has anything to read, for a while."""
    return not wires or not select.select([wire.socket for wire in wires], [], [], seconds)[0]


def ask(wire, target="/slow", **headers):
    fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    wire.send(f"GET {target} HTTP/1.1\r\nHost: t\r\n{fields}\r\n".encode())


def active(server):
    return server.metrics()["http"]["active_requests"]


# -- LIMIT_CONCURRENCY ------------------------------------------------------------------------------------------------

def test_limit_concurrency__sheds_at_once_and_health_still_answers(lab):
    server = lab(MAX_WORKERS=1, LIMIT_CONCURRENCY=4, KEEP_ALIVE=3600)
    idle = [server.connect() for _ in range(20)]
    for wire in idle:
        assert wire.get("/slow").status == 200               # and stays open: costs nothing
    busy = [server.connect() for _ in range(4)]
    for wire in busy:
        ask(wire, "/slow?ms=60000")
    wait_for(lambda: active(server) == 4, "four requests under way")
    shed_before = server.metrics()["http"]["shed"]
    for wire in idle[:10]:
        answer = wire.get("/slow")
        assert_problem(answer, 503)
        assert int(answer.header("Retry-After")) >= 1
        assert answer.header("Connection") != "close"
        assert wire.get("/health").status == 200
    assert server.get("/health/ready").status in (200, 503)
    told = server.metrics()
    assert told["http"]["shed"] == shed_before + 10
    assert told["http"]["statuses"]["503"] >= 10
    assert told["connections"]["open"] == 25                 # with the one that asks
    assert silent(busy)                                      # they were under way all the time
    for wire in busy:
        wire.close()
    wait_for(lambda: active(server) == 0, "the clients' leaving to be noticed")
    assert all(wire.get("/slow").status == 200 for wire in idle)


def test_limit_concurrency__those_inside_are_answered(lab):
    server = lab(MAX_WORKERS=1, LIMIT_CONCURRENCY=3)
    wires = [server.connect() for _ in range(3)]
    for wire in wires:
        ask(wire, "/slow?ms=800")
    wait_for(lambda: active(server) == 3, "three requests under way")
    assert server.get("/slow").status == 503
    assert [wire.response().status for wire in wires] == [200] * 3
    assert server.get("/slow").status == 200


def test_limit_concurrency__is_each_workers_own(lab):
    """Two workers with room for two each: never fewer than two are let in, never more than four."""
    server = lab(MAX_WORKERS=2, LIMIT_CONCURRENCY=2)
    wires = [server.connect() for _ in range(40)]
    for wire in wires:
        ask(wire, "/slow?ms=2000")
    answers = [wire.response().status for wire in wires]
    assert set(answers) == {200, 503}
    assert 2 <= answers.count(200) <= 4
    told = server.metrics()["http"]
    assert told["shed"] == answers.count(503) == told["statuses"]["503"]


# -- WORKER_CONNECTIONS -----------------------------------------------------------------------------------------------

def test_worker_connections__more_wait_in_the_backlog(lab):
    server = lab(MAX_WORKERS=1, WORKER_CONNECTIONS=8, KEEP_ALIVE=3600)
    inside = [server.connect() for _ in range(8)]
    for wire in inside:
        assert wire.get("/slow").status == 200
    outside = [server.connect() for _ in range(24)]          # the kernel lets them in
    ids = [request_id() for _ in outside]
    for wire, sent in zip(outside, ids):
        ask(wire, X_Request_Id=sent)
    assert silent(outside)
    assert inside[0].get("/metrics").json()["connections"]["open"] == 8
    for wire in inside:
        assert wire.get("/slow").status == 200
        wire.close()
    for wire, sent in zip(outside, ids):
        answer = wire.response()
        assert (answer.status, answer.header("X-Request-Id")) == (200, sent)
        wire.close()
    assert server.metrics()["connections"]["open"] == 1


def test_worker_connections__kept_connections_make_room_when_idle(lab):
    server = lab(MAX_WORKERS=1, WORKER_CONNECTIONS=5, KEEP_ALIVE=0.5)
    wires = [server.connect() for _ in range(20)]
    for wire in wires:
        ask(wire)
    assert [wire.response().status for wire in wires] == [200] * 20


# -- file descriptors -------------------------------------------------------------------------------------------------

class FewDescriptors(Lab):
    """The soft and the hard limit of file descriptors set low."""
    limit = 64

    @property
    def command(self):
        return ["/usr/bin/prlimit", f"--nofile={self.limit}:{self.limit}", "--", str(LAB)]


@pytest.mark.parametrize("limit", (30, 60, 300))
def test_descriptors__few_of_them_slow_clients_down_only(tmp_path, limit):
    server = FewDescriptors(tmp_path, {"MAX_WORKERS": 1, "KEEP_ALIVE": 0.5})
    server.limit = limit
    with server:
        wires = [server.connect() for _ in range(min(150, 2 * limit))]
        for wire in wires:
            ask(wire)
        for wire in wires:
            assert wire.response().status == 200
        with Clients(server.port, threads=6, requests_a_connection=5) as clients:
            wait_for(lambda: clients.answered > 200, "the load to go on")
        assert clients.failures == []
        for number in range(1, 6):
            assert server.request("POST", "/count").json()["value"] == number
        assert len(server.workers()) == 1
        assert [row["restarts"] for row in server.metrics()["workers"]] == [0]
    assert "raise the limit" in server.log()


def test_descriptors__running_out_is_survived(tmp_path):
    """The limit falls while the worker serves (as if something else had taken the descriptors): EMFILE at accept."""
    server = Lab(tmp_path, {"MAX_WORKERS": 1, "KEEP_ALIVE": 3600})
    with server:
        worker, = server.workers()
        inside = [server.connect() for _ in range(20)]
        for wire in inside:
            assert wire.get("/slow").status == 200
        used = len(os.listdir(f"/proc/{worker}/fd"))
        _, hard = resource.prlimit(worker, resource.RLIMIT_NOFILE)
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (used, hard))
        outside = [server.connect() for _ in range(10)]
        for wire in outside:
            ask(wire)
        wait_for(lambda: "out of file descriptors" in server.log(), "the line")
        assert silent(outside)
        for wire in inside:
            assert wire.get("/slow").status == 200           # who is inside is served
        for wire in inside[:12]:
            wire.close()
        for wire in outside:
            assert wire.response().status == 200
            wire.close()
        for wire in inside[12:]:
            assert wire.get("/slow").status == 200
            wire.close()
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (hard, hard))
        assert server.workers() == [worker]


# -- thousands --------------------------------------------------------------------------------------------------------

class Crowd:
    """Many connections in one thread, all open at once; each sends its requests one after the other."""

    def __init__(self, port, connections, requests):
        self.port, self.requests = port, requests
        self.selector = selectors.DefaultSelector()
        self.left = {}                                        # socket: requests still to be answered
        self.buffers, self.ids = {}, {}
        self.answered, self.failures = 0, []
        for _ in range(connections):
            self._open()

    def _open(self):
        one = socket.create_connection(("127.0.0.1", self.port), timeout=harness.PATIENCE)
        one.setblocking(False)
        self.left[one], self.buffers[one] = self.requests, b""
        self.selector.register(one, selectors.EVENT_READ)

    def _ask(self, one):
        self.ids[one] = request_id()
        one.sendall(f"GET /slow HTTP/1.1\r\nHost: t\r\nX-Request-Id: {self.ids[one]}\r\n\r\n".encode())

    def run(self):
        """Until each connection has had its answers; all of them stay open to the end."""
        for one in self.left:
            self._ask(one)
        busy, deadline = len(self.left), time.monotonic() + 2 * harness.PATIENCE
        while busy and time.monotonic() < deadline:
            for key, _ in self.selector.select(1):
                busy -= self._read(key.fileobj)
        assert not busy, f"{busy} connections still wait"

    def _read(self, one):
        """1 when the connection has had its last answer, or failed."""
        try:
            piece = one.recv(65536)
            self.buffers[one] += piece
            if piece and not self.buffers[one].endswith(b"}"):
                return 0
            if not piece or not self._is_right(one):
                raise Closed(self.buffers[one])
            self.answered, self.left[one], self.buffers[one] = self.answered + 1, self.left[one] - 1, b""
            if self.left[one]:
                self._ask(one)
                return 0
        except (OSError, Closed) as error:
            self.failures.append(error)
        self.selector.unregister(one)
        return 1

    def _is_right(self, one):
        head, _, body = self.buffers[one].partition(b"\r\n\r\n")
        return head.startswith(b"HTTP/1.1 200 ") and self.ids[one].encode() + b"\r\n" in head + b"\r\n" and \
            json.loads(body)["value"] == 0

    def close(self):
        for one in self.left:
            one.close()
        self.selector.close()


def test_crowd__two_thousand_connections_at_once(lab):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2600:
        pytest.skip(f"the limit of file descriptors is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2600), hard))
    try:
        server = lab(MAX_WORKERS=2, WORKER_CONNECTIONS=2100, LIMIT_CONCURRENCY=2100, KEEP_ALIVE=3600)
        crowd = Crowd(server.port, 2000, 3)
        crowd.run()
        assert crowd.failures == []
        assert crowd.answered == 6000
        told = server.metrics()
        assert told["connections"]["open"] == 2001
        assert route_count(told, "/slow") == 6000
        assert set(told["http"]["statuses"]) == {"200"}
        crowd.close()
        wait_for(lambda: server.metrics()["connections"]["open"] == 1, "the closing to be noticed")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# -- the access log ---------------------------------------------------------------------------------------------------

TEXT_LINE = re.compile(r'(?P<peer>\S+) - - \[(?P<time>[^\]]+)\] "(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}) '
                       r'(?P<bytes>\d+) "(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)" '
                       r'(?P<us>\d+) (?P<cache>\S+) (?P<id>\S+) (?P<worker>\d+)')


def text_lines(text):
    """The fields of each line; a line that is not one fails."""
    found = [TEXT_LINE.fullmatch(line) for line in text.splitlines()]
    assert all(found), [line for line, match in zip(text.splitlines(), found) if not match][:3]
    return [match.groupdict() for match in found]


def make_requests(port, count, **headers):
    """Short connections and kept ones, from four threads: the ids and whether the target was there."""
    sent = [(request_id(), "/slow" if number % 5 else "/nowhere?x=%22%0A") for number in range(count)]

    def run(mine):
        for at in range(0, len(mine), 10):
            with harness.Wire(port) as wire:
                for one, target in mine[at:at + 10]:
                    answer = wire.get(target, {"X-Request-Id": one, "User-Agent": 'odd "agent"\\ é', **headers})
                    assert answer.status == (200 if target == "/slow" else 404)

    threads = [threading.Thread(target=run, args=(sent[part::4],)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return dict(sent)


def assert_each_once(found, sent):
    """`found`: ids in the log."""
    ours = [one for one in found if one in sent]
    assert len(ours) == len(set(ours)), "a request was logged twice"
    assert set(ours) == set(sent), f"{len(set(sent) - set(ours))} requests were not logged"


def test_access_log__each_request_once_in_one_file(lab):
    server = lab(MAX_WORKERS=3, ACCESS_LOG="access.log")
    sent = make_requests(server.port, 3000)
    server.stop()
    lines = text_lines((server.folder / "access.log").read_text())
    assert_each_once([line["id"] for line in lines], sent)
    assert {line["worker"] for line in lines} == {"0", "1", "2"}
    for line in lines:
        if line["id"] in sent:
            there = sent[line["id"]] == "/slow"
            assert line["request"] == f"GET {sent[line['id']]} HTTP/1.1"
            assert (line["peer"], line["status"]) == ("127.0.0.1", "200" if there else "404")
            assert line["agent"] == 'odd \\"agent\\"\\\\ \\xe9'
            assert int(line["bytes"]) > 10 and line["cache"] == "-"
            time.strptime(line["time"], "%d/%b/%Y:%H:%M:%S %z")


def test_access_log__json(tmp_path):
    with Lab(tmp_path, {"MAX_WORKERS": 3, "ACCESS_LOG": "access.log", "LOG_FORMAT": "json"}) as server:
        sent = make_requests(server.port, 1000)
        bytes_of_slow = len(server.get("/slow").body)
    lines = [json.loads(line) for line in (tmp_path / "access.log").read_text().splitlines()]
    assert_each_once([line["request_id"] for line in lines], sent)
    assert {line["worker"] for line in lines} == {0, 1, 2}
    for line in lines:
        if line["request_id"] in sent:
            there = sent[line["request_id"]] == "/slow"
            assert line["target"] == sent[line["request_id"]]
            assert (line["method"], line["protocol"], line["remote"]) == ("GET", "HTTP/1.1", "127.0.0.1")
            assert (line["status"], line.get("route")) == ((200, "/slow") if there else (404, None))
            assert line["duration_us"] >= 0 and (not there or abs(line["bytes"] - bytes_of_slow) <= 2)
            assert line["user_agent"].startswith('odd "agent"\\ ')
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    for line in server.log().splitlines():
        if not line.startswith("==") or "Sanitizer" in line:
            told = json.loads(line)
            assert {"time", "level"} <= set(told), line


class Reader:
    """A named pipe and a thread that reads it, slowly at will."""

    def __init__(self, path):
        os.mkfifo(path)
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)    # a writer, too: no end of file when the others go
        self.text = b""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def read(self):
        self._thread.start()
        return self

    def _run(self):
        while True:
            over = self._over.is_set()
            if select.select([self.fd], [], [], 0.1)[0]:
                self.text += os.read(self.fd, 65536)
            elif over:
                return

    def finish(self):
        self._over.set()
        self._thread.join(harness.PATIENCE)
        os.close(self.fd)
        return self.text.decode()


def test_access_log__several_workers_do_not_mix_in_a_pipe(tmp_path):
    reader = Reader(tmp_path / "pipe").read()
    with Lab(tmp_path / "lab", {"MAX_WORKERS": 3, "ACCESS_LOG": tmp_path / "pipe"}) as server:
        sent = make_requests(server.port, 2000, Referer="https://example.org/" + "x" * 500)
    lines = text_lines(reader.finish())
    assert_each_once([line["id"] for line in lines], sent)
    assert {line["worker"] for line in lines} == {"0", "1", "2"}


def test_access_log__standard_output(lab):
    server = lab(MAX_WORKERS=2, ACCESS_LOG="-")
    sent = make_requests(server.port, 300)
    server.stop()
    assert_each_once([line["id"] for line in text_lines(server.out_path.read_text())], sent)


def test_access_log__full_device_costs_lines_only(lab):
    server = lab(MAX_WORKERS=2, ACCESS_LOG="/dev/full")
    make_requests(server.port, 500)
    wait_for(lambda: server.metrics()["access_log"]["dropped_lines"] >= 500, "the dropped lines to be counted")
    assert server.metrics()["http"]["requests"] >= 500
    with Clients(server.port, threads=4) as clients:
        wait_for(lambda: clients.answered > 200, "the load to go on")
    assert clients.failures == []
    server.stop()
    assert re.search(r"warn .*access log lines dropped lines=\d+ why=\"No space left on device\"", server.log())
    assert not errors_in(server.log())


def test_access_log__reader_that_does_not_read_costs_lines_only(tmp_path):
    reader = Reader(tmp_path / "pipe")
    with Lab(tmp_path / "lab", {"MAX_WORKERS": 2, "ACCESS_LOG": tmp_path / "pipe"}) as server:
        sent = make_requests(server.port, 3000, Referer="https://example.org/" + "x" * 500)
        wait_for(lambda: server.metrics()["access_log"]["dropped_lines"] > 0, "lines to be dropped")
        assert server.get("/slow").status == 200
        reader.read()
        wait_for(lambda: len(reader.text) > 65536, "the lines that were kept")
        after = make_requests(server.port, 200)
    lines = text_lines(reader.finish())
    found = [line["id"] for line in lines]
    assert len(found) == len(set(found)) and set(found) & set(sent)
    assert set(found) & set(after), "nothing was logged any more"


def test_access_log__reader_that_left_costs_lines_only(tmp_path):
    reader = Reader(tmp_path / "pipe")
    with Lab(tmp_path / "lab", {"MAX_WORKERS": 2, "ACCESS_LOG": tmp_path / "pipe"}) as server:
        os.close(reader.fd)
        make_requests(server.port, 300)
        wait_for(lambda: server.metrics()["access_log"]["dropped_lines"] >= 300, "the dropped lines to be counted")
        assert server.get("/slow").status == 200


def test_access_log__a_pipe_without_reader_stops_the_start(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    done = harness.sanad(tmp_path, "serve", status=1,
                         settings={**harness.DEFAULTS, "DB_PATH": tmp_path / "a.db", "ACCESS_LOG": tmp_path / "pipe"})
    lines = errors_in(done.stderr)
    assert len(lines) == 1 and "nobody reads" in lines[0], done.stderr


def test_access_log__of_the_real_application(database, tmp_path):
    with Server(tmp_path / "server", {"MAX_WORKERS": 2, "ACCESS_LOG": "access.log"}, database) as server:
        targets = ["/api/spas", "/api/certificates/public?limit=5", "/api/certificates/templates", "/api/nothing"]
        sent = {}
        with server.connect() as wire:
            for number in range(200):
                one = request_id()
                sent[one] = targets[number % 4]
                wire.get(sent[one], {"X-Request-Id": one})
    lines = {line["id"]: line for line in text_lines((server.folder / "access.log").read_text())}
    assert set(sent) <= set(lines)
    assert {lines[one]["status"] for one in sent if sent[one] == "/api/nothing"} == {"404"}
    assert {lines[one]["cache"] for one in sent if sent[one] == "/api/certificates/templates"} >= {"HIT"}


def test_stop__serves_who_waits_in_the_backlog(lab):
    """WORKER_CONNECTIONS is full when the stop comes: those in the queue were let in too."""
    server = lab(MAX_WORKERS=1, WORKER_CONNECTIONS=5)
    inside, outside = ([server.connect() for _ in range(count)] for count in (5, 20))
    for wire in inside:
        wire.send(b"GET /slow?ms=700 HTTP/1.1\r\nHost: x\r\n\r\n")
    for wire in outside:
        wire.send(b"GET /slow?ms=10 HTTP/1.1\r\nHost: x\r\n\r\n")
    server.process.send_signal(signal.SIGTERM)
    for wire in inside + outside:
        assert wire.response().status == 200
        wire.close()
    server.wait(0)
