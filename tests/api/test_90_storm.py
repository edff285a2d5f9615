# SPDX-License-Identifier: MIT
"""A crowd of clients that do at random what clients do at their worst, for some seconds.

Each client sends a pipeline of good and broken requests, cut into pieces anywhere, and then reads, reads slowly, closes
one side, or vanishes. Whoever reads checks: answers come in order, each to its own request, with its own body, and no
count is less than what anybody was told before it was asked for. In the end nothing may be left of them.

STORM_SEED repeats a run (as far as time lets it), STORM_SECONDS makes it longer."""
import json
import os
import random
import socket
import struct
import threading
import time
from collections import Counter

from harness import Closed, wait_for

SECONDS = float(os.environ.get("STORM_SECONDS", "8"))
SEED = int(os.environ.get("STORM_SEED", "20240229"))
CLIENTS = 24
PATIENCE = 60

BROKEN = [
    b"\r\n\r\n", b"\0\0\0\0", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"G" * 9000,
    b"GET / HTTP/1.1\nHost: x\n\n", b"GET /count HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", b"GET / HTTP/1.1\r\nA: " + b"b" * 20000,
]


class Known:
    """What has been told to anybody: counts only grow."""

    def __init__(self):
        self.lock, self.count, self.events = threading.Lock(), 0, Counter()

    def told(self, count):
        with self.lock:
            self.count = max(self.count, count)

    def note(self, event):
        with self.lock:
            self.events[event] += 1


class Sent:
    """One request on its way: its bytes, and what may be said to it."""

    def __init__(self, dice, name):
        self.name, self.head, self.length, self.counts = name, False, None, False
        self.statuses = {200}
        kind = dice.choice(KINDS)
        self.bytes = kind(self, dice)
        self.kind = kind.__name__

    def line(self, method, target, *fields, body=b""):
        lines = [b"%s %s HTTP/1.1" % (method, target), b"Host: x", b"X-Request-Id: " + self.name.encode(), *fields, b"", b""]
        return b"\r\n".join(lines) + body


def count_read(sent, dice):
    sent.counts = True
    return sent.line(b"GET", dice.choice([b"/count", b"/count", b"/count/now", b"/count?x=%d" % dice.randrange(99)]))


def count_head(sent, dice):
    sent.head = True
    return sent.line(b"HEAD", b"/count", b"Accept-Encoding: gzip, br")


def count_known(sent, dice):
    sent.statuses = {200, 304}
    return sent.line(b"GET", b"/count", b"If-None-Match: " + dice.choice([b"*", b'"none"', b'W/"a", "b"']))


def count_write(sent, dice):
    sent.counts, sent.statuses = True, {200, 503}
    return sent.line(b"POST", b"/count")


def flaky(sent, dice):
    sent.statuses = {200, 503}
    return sent.line(b"GET", b"/flaky?ms=%d" % dice.randrange(4))


def slow(sent, dice):
    return sent.line(b"GET", b"/slow?ms=%d" % dice.choice([0, 1, 5, 30]))


def hold(sent, dice):
    sent.statuses = {200, 503}
    return sent.line(b"GET", b"/hold?ms=%d" % dice.randrange(3))


def big(sent, dice):
    sent.length = dice.choice([0, 1, 1000, 20_000, 300_000])
    return sent.line(b"GET", b"/big%s?bytes=%d" % (dice.choice([b"", b"/inline"]), sent.length))


def missing(sent, dice):
    sent.statuses = {400, 404, 405, 422}
    return sent.line(*dice.choice([(b"GET", b"/none"), (b"DELETE", b"/count"), (b"GET", b"/slow?ms=x"), (b"GET", b"/%zz")]))


def options(sent, dice):
    sent.statuses = {204}
    return sent.line(b"OPTIONS", dice.choice([b"*", b"/count"]))


def with_length(sent, dice):
    body = dice.randbytes(dice.choice([0, 1, 100, 5000, 70_000, 200_000]))
    expect = [b"Expect: 100-continue"] if dice.random() < 0.3 else []
    target = dice.choice([b"/echo", b"/echo", b"/ignore"])
    return sent.line(b"POST", target, b"Content-Length: %d" % len(body), *expect, body=body)


def with_chunks(sent, dice):
    pieces = [dice.randbytes(dice.choice([1, 10, 1000, 66_000])) for _ in range(dice.randrange(6))]
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    return sent.line(b"POST", dice.choice([b"/echo", b"/ignore"]), b"Transfer-Encoding: chunked", body=body)


KINDS = [count_read] * 6 + [count_write] * 2 + [count_head, count_known, flaky, flaky, slow, hold, big, missing, options,
                                                 with_length, with_chunks]


class Client:
    def __init__(self, server, known, number):
        self.server, self.known, self.dice = server, known, random.Random(f"{SEED}-{number}")
        self.number, self.turns, self.failure = number, 0, None

    def run(self, until):
        try:
            while time.monotonic() < until:
                self.turn()
        except BaseException as failure:   # told by the test, in its own thread
            self.failure = failure

    def turn(self):
        dice, self.turns = self.dice, self.turns + 1
        requests = [Sent(dice, f"c{self.number}-{self.turns}-{i}") for i in range(dice.choice([1, 2, 5, 30, 90]))]
        data = b"".join(request.bytes for request in requests)
        if dice.random() < 0.2:
            data += dice.choice(BROKEN)
        ending = dice.choice([self.read_all] * 5 + [self.read_some, self.vanish, self.half_close])
        with self.server.connect() as wire:
            if dice.random() < 0.3:
                wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
            least = self.known.count
            sender = threading.Thread(target=self.send, args=[wire, data, random.Random(dice.random())])
            sender.start()
            try:
                ending(wire, requests, least)
            finally:
                self.close(wire, dice.random() < 0.4)
                sender.join()
        self.known.note(ending.__name__)

    @staticmethod
    def send(wire, data, dice):
        """All of it, in pieces, as long as somebody takes it."""
        sizes = dice.choice([[1 << 20], [1, 50, 500], [4000, 70_000]])
        at = 0
        try:
            while at < len(data):
                size = dice.choice(sizes) if len(data) - at < 20_000 or sizes[-1] > 5000 else 20_000
                wire.socket.sendall(data[at:at + size])
                at += size
                if dice.random() < 0.02:
                    time.sleep(dice.random() * 0.02)
        except OSError:
            pass

    @staticmethod
    def close(wire, hard):
        try:
            if hard:
                wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            wire.socket.shutdown(socket.SHUT_RDWR)   # the sender wakes, too
        except OSError:
            pass
        wire.close()

    # -- what becomes of it

    def read_all(self, wire, requests, least):
        for request in requests:
            if self.dice.random() < 0.02:
                time.sleep(self.dice.random() * 0.05)
            try:
                answer = wire.response(head=request.head)
            except Closed:
                return       # only after an answer that said so, or a request that was broken: see check()
            least = self.check(request, answer, least)
            if answer.header("Connection") == "close":
                return
        self.known.note("whole pipelines")

    def read_some(self, wire, requests, least):
        self.read_all(wire, requests[:self.dice.randrange(len(requests))], least)

    def vanish(self, wire, requests, least):
        time.sleep(self.dice.random() * 0.03)

    def half_close(self, wire, requests, least):
        time.sleep(self.dice.random() * 0.01)
        wire.half_close()
        wire.rest()

    def check(self, request, answer, least):
        told = (request.kind, request.bytes[:200], answer)
        assert answer.status in request.statuses, told
        assert answer.header("X-Request-Id") == request.name, told
        self.known.note(request.kind)
        if answer.status == 200 and request.length is not None:
            assert answer.body == b"x" * request.length, told
        if answer.status == 200 and request.counts and answer.header("Age") is None:   # else: the last good one, and said so
            value = json.loads(answer.body)["value"]
            assert value >= least, ("an older count than was known when it was asked for", least, *told)
            if request.kind == "count_write":    # a reader may know of a write before its writer is answered
                self.known.told(value)
                return value
        return least


def trouble(server, until, dice):
    """The database of /flaky comes and goes."""
    down = server.folder / "down"
    while time.monotonic() < until:
        down.touch()
        time.sleep(dice.random() * 0.1)
        down.unlink()
        time.sleep(dice.random() * 0.3)


def test_storm(lab):
    print(f"STORM_SEED={SEED}")
    server = lab(MAX_WORKERS=2, KEEP_ALIVE="20", CACHE_TTL="0.2", DB_POOL_TIMEOUT="30")
    known, until = Known(), time.monotonic() + SECONDS
    clients = [Client(server, known, i) for i in range(CLIENTS)]
    threads = [threading.Thread(target=client.run, args=[until]) for client in clients]
    threads.append(threading.Thread(target=trouble, args=[server, until, random.Random(SEED)]))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS + 2 * PATIENCE)
        assert not thread.is_alive(), "a client waits in vain"
    for client in clients:
        if client.failure:
            raise client.failure
    print(dict(known.events))
    assert known.events["whole pipelines"] > 20 and known.events["count_write"] > 20

    def calm():
        now = server.metrics()
        return (now["connections"]["open"] == 1 and now["http"]["active_requests"] == 0
                and now["http"]["coroutines"] == 0 and now["checked_out"] == 0)
    wait_for(calm, "the last of them to be gone")
    assert [worker["restarts"] for worker in server.metrics()["workers"]] == [0, 0]
    assert server.get("/count").json()["value"] == server.get("/count/now").json()["value"] >= known.count
    (noted,), (counted,) = server.rows("SELECT count(*) AS n FROM notes"), server.rows("SELECT value AS n FROM counter")
    assert noted == counted
