# SPDX-License-Identifier: MIT
"""Hundreds of connections that are kept, and every answer on them checked: to say that a reload, an upgrade or a
replaced worker cost not one request.

    with Steady(server.port) as load:
        load.more(2000)
        server.process.send_signal(signal.SIGHUP)
        load.more(2000)
    assert load.failures == []

Each connection asks, reads its whole answer, rests a little, asks again. Each request has an id that its answer must
bring back; the answer must be 200. After `Connection: close` the server must close, and a new connection takes its
place. A connection that the server closes while nothing is asked on it is within its rights, and counted. All run on
one epoll in a thread.
"""
import errno
import heapq
import itertools
import json
import random
import select
import socket
import threading
import time
from typing import NamedTuple

from harness import PATIENCE, wait_for


class Failure(NamedTuple):
    pid: int            # of the worker that the connection belonged to; None: it had not answered yet
    opened: float
    failed: float
    why: str


class Client:
    def __init__(self, number):
        self.number, self.socket = number, None
        self.pid, self.opened = None, 0.0
        self.id, self.received, self.closing = None, b"", False


class Steady:
    def __init__(self, port, connections=500, rest=0.2, target="/slow?ms=0"):
        self.port, self.rest, self.target = port, rest, target
        self.answered, self.closed_idle, self.failures, self.pids, self.versions = 0, 0, [], set(), set()
        self._clients = [Client(number) for number in range(connections)]
        self._ids, self._over = itertools.count(1), False
        self._epoll, self._due, self._by_fd = select.epoll(), [], {}
        self._thread = threading.Thread(target=self._run, name="steady", daemon=True)

    def __enter__(self):
        self._thread.start()
        self.more(len(self._clients))
        return self

    def __exit__(self, *_):
        """Ends after the requests under way."""
        self._over = True
        self._thread.join(2 * PATIENCE)
        assert not self._thread.is_alive(), "a client still waits for its answer"

    def more(self, count):
        """Waits for so many more answers."""
        goal = self.answered + count
        wait_for(lambda: self.answered >= goal, f"{count} more answers")

    # -- the loop -------------------------------------------------------------------------

    def _run(self):
        for client in self._clients:
            self._rest(client)
        while self._due or any(client.id or client.socket and not self._over for client in self._clients):
            self._begin_due()
            for fd, events in self._epoll.poll(0.01):
                if fd in self._by_fd:
                    self._happen(self._by_fd[fd], events)
            if self._over and not any(client.id for client in self._clients):
                break
        for client in self._clients:
            self._drop(client)

    def _rest(self, client):
        heapq.heappush(self._due, (time.monotonic() + 2 * self.rest * random.random(), client.number))

    def _begin_due(self):
        while self._due and self._due[0][0] <= time.monotonic():
            client = self._clients[heapq.heappop(self._due)[1]]
            if not self._over and not client.closing:
                self._ask(client)

    def _ask(self, client):
        client.id, client.received = f"steady-{next(self._ids)}", b""
        if client.socket is None:
            self._connect(client)
        else:
            self._send(client)

    def _connect(self, client):
        client.socket = socket.socket()
        client.socket.setblocking(False)
        client.pid, client.opened = None, time.monotonic()
        self._by_fd[client.socket.fileno()] = client
        code = client.socket.connect_ex(("127.0.0.1", self.port))
        if code not in (0, errno.EINPROGRESS):
            self._fail(client, f"connect: {errno.errorcode[code]}")
        else:
            self._epoll.register(client.socket, select.EPOLLOUT)

    def _send(self, client):
        try:
            client.socket.send(f"GET {self.target} HTTP/1.1\r\nHost: t\r\nX-Request-Id: {client.id}\r\n\r\n".encode())
        except OSError as error:
            self._fail(client, f"send: {error}")

    def _happen(self, client, events):
        if events & select.EPOLLOUT:
            code = client.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                self._fail(client, f"connect: {errno.errorcode[code]}")
                return
            self._epoll.modify(client.socket, select.EPOLLIN)
            self._send(client)
            return
        try:
            piece = client.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(client, f"receive: {error}")
            return
        if not piece:
            self._lost(client, "closed by the server")
            return
        client.received += piece
        self._look(client)

    def _lost(self, client, why):
        """The end of a connection: of one that was to end, of one that rests, or in the middle of a request."""
        if client.id:
            self._fail(client, f"{why} after {client.received[:80]!r}")
            return
        self.closed_idle += not client.closing
        was_closing = client.closing
        self._drop(client)
        if was_closing:
            self._rest(client)

    def _fail(self, client, why):
        self.failures.append(Failure(client.pid, client.opened, time.monotonic(), why))
        client.id = None
        self._drop(client)
        self._rest(client)

    def _drop(self, client):
        if client.socket is not None:
            self._by_fd.pop(client.socket.fileno(), None)
            client.socket.close()
        client.socket, client.closing = None, False

    def _look(self, client):
        head, end, body = client.received.partition(b"\r\n\r\n")
        if not client.id:
            self._fail(client, f"unasked: {client.received[:80]!r}")
        if not end:
            return
        lines = head.decode("latin-1").split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:])
        if len(body) < int(fields["Content-Length"]):
            return
        if " 200 " not in lines[0] or fields.get("X-Request-Id") != client.id or len(body) > int(fields["Content-Length"]):
            self._fail(client, f"{lines[0]}: {fields} {body[:100]!r}")
            return
        told = json.loads(body)
        client.id, client.received, client.pid = None, b"", told.get("pid")
        self.pids.add(client.pid)
        self.versions.add(told.get("version"))
        self.answered += 1
        client.closing = fields.get("Connection") == "close"
        if not client.closing:
            self._rest(client)
