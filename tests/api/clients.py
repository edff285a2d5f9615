# SPDX-License-Identifier: MIT
"""Clients that keep a server busy and check every response: for the tests of workers, stops and load.

    with Clients(server.port, threads=8) as clients:
        ...                                  # kill, stop, measure
    assert clients.failures == []

Each thread has a connection of its own; every request carries an id that its response must bring back. What goes
wrong is noted with the worker that served the connection (lab's /slow says its pid) and the times that matter.
"""
import itertools
import re
import threading
import time
from dataclasses import dataclass, field

from harness import PATIENCE, Closed, Wire

_numbers = itertools.count(1)


def request_id():
    """Never the same twice in a test run."""
    return f"client-{next(_numbers)}"


@dataclass
class Failure:
    pid: int            # of the worker that the connection belonged to; None: it had not answered yet
    opened: float       # when the connection was made
    failed: float
    error: Exception


@dataclass
class Tally:
    """What one thread saw."""
    answered: int = 0
    refused: int = 0                                  # connections that the kernel refused
    pids: set = field(default_factory=set)
    failures: list = field(default_factory=list)


class Clients:
    """Threads in a closed loop: request, whole response, next request.

    `body`: what every response must be; without it the response says the process id, as lab's /slow does.
    """

    def __init__(self, port, threads=8, requests_a_connection=25, target="/slow?ms=0", body=None, until_refused=False):
        self.port = port
        self.requests_a_connection = requests_a_connection
        self.target = target
        self.body = body
        self.until_refused = until_refused            # a refused connection is the end, not a failure
        self._over = threading.Event()
        self._tallies = [Tally() for _ in range(threads)]
        self._threads = [threading.Thread(target=self._run, args=(tally,), daemon=True) for tally in self._tallies]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.finish()

    def finish(self):
        """Ends after the requests under way; with until_refused, when the server is gone."""
        if not self.until_refused:
            self._over.set()
        self.join()

    def join(self):
        for thread in self._threads:
            thread.join(2 * PATIENCE)
            assert not thread.is_alive(), "a client still waits for its response"

    @property
    def answered(self):
        return sum(tally.answered for tally in self._tallies)

    @property
    def refused(self):
        return sum(tally.refused for tally in self._tallies)

    @property
    def pids(self):
        return set().union(*(tally.pids for tally in self._tallies))

    @property
    def failures(self):
        return [failure for tally in self._tallies for failure in tally.failures]

    def _run(self, tally):
        while not self._over.is_set():
            opened = time.monotonic()
            state = {"pid": None}
            try:
                with Wire(self.port) as wire:
                    self._talk(wire, tally, state)
            except (ConnectionRefusedError, FileNotFoundError) as error:   # the latter of a Unix socket
                tally.refused += 1
                if self.until_refused:
                    return
                tally.failures.append(Failure(None, opened, time.monotonic(), error))
            except (OSError, Closed, AssertionError, ValueError, KeyError) as error:
                tally.failures.append(Failure(state["pid"], opened, time.monotonic(), error))

    def _talk(self, wire, tally, state):
        for number in range(self.requests_a_connection):
            last = number == self.requests_a_connection - 1
            sent = request_id()
            answer = wire.get(self.target, {"X-Request-Id": sent, **({"Connection": "close"} if last else {})})
            assert answer.status == 200, answer
            assert answer.header("X-Request-Id") == sent, f"the answer to another request than {sent}: {answer}"
            tally.answered += 1
            if self.body is None:
                pid = answer.json()["pid"]
                assert state["pid"] in (None, pid), "the connection changed its worker"
                state["pid"] = pid
                tally.pids.add(pid)
            else:
                assert answer.body == self.body, answer
            if answer.header("Connection") == "close":
                assert wire.closed(), "bytes after the last response"
                return
            if self._over.is_set():
                return


def wire_of(server, pid, tries=400):
    """A connection that this worker has accepted. The kernel chooses the worker, so it takes some tries."""
    for _ in range(tries):
        wire = server.connect()
        if wire.get("/slow").json()["pid"] == pid:
            return wire
        wire.close()
    raise AssertionError(f"worker {pid} accepted none of {tries} connections")


# -- what the server says of itself -----------------------------------------------------------------------------------

def slots(server):
    """Each worker's row of /metrics, by index."""
    return {row["index"]: row for row in server.metrics()["workers"]}


def all_ready(server, others_than=(), count=None):
    """The rows, when every worker is ready and none of these processes is left; else None."""
    rows = slots(server)
    ready = all(row["state"] == "ready" and row["pid"] > 0 and row["pid"] not in others_than for row in rows.values())
    return rows if ready and (count is None or len(rows) == count) else None


def route_count(metrics, route, method="GET"):
    return sum(row["count"] for row in metrics["http"]["routes"] if (row["route"], row["method"]) == (route, method))


def errors_in(log):
    """The lines of level error of a text log."""
    return re.findall(r"^\S+ error .*$", log, re.MULTILINE)
