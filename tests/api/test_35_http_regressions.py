# SPDX-License-Identifier: MIT
"""Moments at which connections once went wrong: clients that vanish between two bytes, or do not read, or dawdle.

A stopped worker (SIGSTOP) finds a request and the end of its connection in one turn of its loop."""
import contextlib
import os
import signal
import socket
import sqlite3
import struct
import threading
import time

import pytest

from harness import Closed, assert_problem, wait_for

GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


@contextlib.contextmanager
def stopped(server):
    """The worker sleeps inside, and wakes to whatever was done meanwhile."""
    (pid,) = server.workers()
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def reset(wire):
    """Closes with RST: the next write of the server fails."""
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.close()


def settled(server):
    """Nothing is left but the connection that asks."""
    def idle():
        now = server.metrics()
        return now["connections"]["open"] == 1 and now["http"]["active_requests"] == 0
    wait_for(idle, "connections and requests to go")
    assert server.metrics()["workers"][0]["restarts"] == 0


@pytest.mark.parametrize("last", [
    pytest.param(b"", id="answered-at-once"),
    pytest.param(GET % b"/slow?ms=1", id="a-handler"),
    pytest.param(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n", id="continue"),
])
@pytest.mark.parametrize("before", [0, 20, 21, 22, 200])
def test_client_gone__before_its_pipeline_was_looked_at(lab, before, last):
    server = lab(MAX_WORKERS=1)
    with server.connect() as wire:
        assert wire.get("/count").status == 200
        with stopped(server):
            wire.send((GET % b"/count") * before + last)
            reset(wire)
    settled(server)


def test_client_gone__in_the_middle_of_a_file(serve, tmp_path):
    web = tmp_path / "web"
    (web / "assets").mkdir(parents=True)
    (web / "assets" / "large.bin").write_bytes(bytes(4_000_000))
    server = serve(WEB_DIR=web, MAX_WORKERS=1)
    for i in range(40):
        wire = server.connect()
        wire.send(GET % b"/assets/large.bin")
        wire._exactly(1000 + i * 30_000)
        with stopped(server):
            reset(wire)
    settled(server)


@pytest.mark.parametrize("cached,last", [
    pytest.param(60, GET % b"/slow?ms=1", id="a-handler-that-sleeps"),
    pytest.param(60, GET % b"/count/now", id="a-handler-that-asks-the-database"),
    pytest.param(60, GET % b"/big/inline?bytes=3000", id="answered-at-once"),
    pytest.param(60, b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody", id="a-body"),
])
def test_pipeline__to_a_client_that_does_not_read_yet(lab, cached, last):
    """More than the kernel takes: while answers wait for the client further ones come, and each is sent once."""
    server = lab(MAX_WORKERS=1, KEEP_ALIVE="60")
    rounds = 500
    with server.connect() as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sender = threading.Thread(target=wire.send, args=[((GET % b"/count") * cached + last) * rounds])
        sender.start()
        time.sleep(1)
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        for _ in range(rounds):
            for _ in range(cached):
                assert wire.response().body == b'{"value":0}'
            assert wire.response().status == 200
        sender.join()
    settled(server)


def test_pipeline__a_body_that_comes_while_answers_wait(lab):
    server = lab(MAX_WORKERS=1, KEEP_ALIVE="60")
    for size in (100_000, 1_000_000, 4_000_000):
        with server.connect() as wire:
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            wire.send((GET % b"/big/inline?bytes=%d" % size)
                      + b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
            time.sleep(0.2)
            wire.send(b"body" + GET % b"/count")
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            assert len(wire.response().body) == size
            assert wire.response().json()["length"] == 4
            assert wire.response().json() == {"value": 0}
    settled(server)


def test_time_limits__each_fits_what_the_client_does(lab):
    """A body that crawls ends in 408; a pipeline that never pauses between two requests does not."""
    server = lab(MAX_WORKERS=1, KEEP_ALIVE="2")
    slow, busy = server.connect(), server.connect()
    slow.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nfirst")
    one, answered = GET % b"/count", 0
    busy.send(one[:10])
    end = time.monotonic() + 11.5
    while time.monotonic() < end:           # no read of the server's ends with a whole request
        busy.send(one[10:] + one[:10])
        assert busy.response().status == 200
        answered += 1
        time.sleep(0.1)
    busy.send(one[10:])
    assert busy.response().status == 200 and answered > 10
    assert_problem(slow.response(), 408)
    assert slow.closed()
    busy.close()
    settled(server)


def test_drain__cuts_a_handler_whose_response_others_would_share(lab):
    server = lab(MAX_WORKERS=1, GRACEFUL_TIMEOUT="2")
    gone = server.connect()
    gone.send(GET % b"/flaky?ms=50000")
    here = server.connect()
    here.send((GET % b"/flaky?ms=50000"))
    wait_for(lambda: server.metrics()["http"]["active_requests"] == 2, "both to wait")
    gone.close()
    wait_for(lambda: server.metrics()["connections"]["open"] == 2, "one to have gone")
    server.stop()
    assert "killed" not in server.log()
    with pytest.raises(Closed):
        here.response()


def test_cache__same_rows_but_another_link(serve):
    """The row after the page has gone: the rows are as before, but there is no next page any more."""
    server = serve(CACHE_TTL="1", MAX_WORKERS=1)
    with sqlite3.connect(server.db_path) as db:
        active = server.get("/api/spas?limit=100").json()
        assert len(active) > 1
        target = f"/api/spas?limit={len(active) - 1}"
        first = server.get(target)
        assert "next" in first.links()
        db.execute("DELETE FROM spa WHERE id = ?", [active[-1]["id"]])
    wait_for(lambda: "next" not in server.get(target).links(), "the copy to end", 10)
    after = server.get(target, {"If-None-Match": first.header("ETag")})
    assert after.status == 200 and after.body == first.body


def test_metrics__bytes_out_counts_what_a_slow_client_takes(lab):
    server = lab(MAX_WORKERS=1)
    before = server.metrics()["connections"]["bytes_out"]
    with server.connect() as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        wire.send(GET % b"/big?bytes=6000000")
        time.sleep(0.2)
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        assert len(wire.response().body) == 6_000_000
    wait_for(lambda: server.metrics()["connections"]["bytes_out"] - before > 6_000_000, "the bytes to be counted")
