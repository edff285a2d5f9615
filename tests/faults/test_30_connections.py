# SPDX-License-Identifier: MIT
"""Connections to the database that fail, under two hundred clients: how many requests each fault may cost."""
import contextlib
import threading
import time

import pytest

from crowd import Crowd
from harness import assert_problem, wait_for
from mariadb import available

pytestmark = pytest.mark.skipif(not available(), reason="there is no mariadb-server")

READ = "GET /count/now"              # the lab's: a row by its key, never from the cache
SETTINGS = {"KEEP_ALIVE": 60, "DB_POOL_SIZE": 20, "DB_MAX_OVERFLOW": 40}
POOL_TIMEOUT = 30                    # seconds: the default


def ours(mariadb):
    """The connections that the service has there: id, and what runs on it."""
    return mariadb.rows("SELECT id, info FROM information_schema.processlist WHERE user = 'sanad'")


def restarts(server):
    return sum(worker["restarts"] for worker in server.metrics()["workers"])


def lines(server, message):
    return [line for line in server.log().splitlines() if message in line]


# -- the server dies ---------------------------------------------------------------------------------------------------

def test_server_killed__503_until_it_is_back(lab, mariadb):
    """Fails: what was under way, and what is asked while it is away, at once. Nothing before, nothing after."""
    server = lab(**SETTINGS)
    with Crowd(server.port, READ) as crowd:
        crowd.answered(2000)
        killed = time.monotonic()
        mariadb.kill()
        dead = time.monotonic()
        crowd.answered(1000)
        back = time.monotonic()
        mariadb.start()
        calm = crowd.well()
        crowd.answered(1000)
    assert crowd.whole()
    assert {answer.status for answer in crowd.answers if answer.sent + answer.seconds < killed} == {200}
    assert set(crowd.statuses(since=dead, until=back)) == {503}
    assert set(crowd.statuses(since=calm)) == {200}
    assert set(crowd.statuses()) == {200, 503}
    assert all(int(answer.header("Retry-After")) >= 1 for answer in crowd.problems())
    assert crowd.longest() < POOL_TIMEOUT, "somebody stood in line for a server that was away"
    assert restarts(server) == 0
    assert len(lines(server, "database connection failed")) <= 4, server.log()


# -- one connection dies -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("what", ["CONNECTION", "QUERY"])
def test_killed_in_a_statement__that_request_alone_fails(lab, mariadb, what):
    server = lab(**SETTINGS)
    with Crowd(server.port, READ) as crowd:
        crowd.answered(500)
        for _ in range(5):
            napping = Napping(server)
            mariadb.sql(f"KILL {what} {napping.connection(mariadb)}")
            assert_problem(napping.answer(), 503)
            crowd.answered(200)
    assert crowd.whole()
    assert set(crowd.statuses()) == {200}


def test_killed_query__leaves_the_connection_as_it_was(lab, mariadb):
    """The only one: the same statement runs on it again."""
    server = lab(MAX_WORKERS=1, DB_POOL_SIZE=1, DB_MAX_OVERFLOW=0)
    napping = Napping(server)
    connection = napping.connection(mariadb)
    mariadb.sql(f"KILL QUERY {connection}")
    assert_problem(napping.answer(), 503)
    for _ in range(3):
        assert server.get("/nap?ms=1").status == 200
    assert [row["id"] for row in ours(mariadb)] == [connection]


class Napping:
    """A request whose statement takes a minute."""

    def __init__(self, server):
        self._answers = []
        self._thread = threading.Thread(target=lambda: self._answers.append(server.get("/nap?ms=60000")))
        self._thread.start()

    def connection(self, mariadb):
        """On which it runs, by the server's number."""
        return wait_for(lambda: [row["id"] for row in ours(mariadb) if "SLEEP" in (row["info"] or "")], "the nap")[0]

    def answer(self):
        self._thread.join()
        return self._answers[0]


def test_connections_killed__one_request_each_at_most_fails(lab, mariadb):
    """Whichever they are: idle, or in the middle of a statement."""
    server, kills = lab(**SETTINGS), 20
    with Crowd(server.port, READ) as crowd:
        for _ in range(kills):
            crowd.answered(100)
            with contextlib.suppress(AssertionError):       # it is gone by itself: those older than one that broke are
                mariadb.sql(f"KILL {ours(mariadb)[0]['id']}")
        calm = crowd.well()
        crowd.answered(500)
    assert crowd.whole()
    assert set(crowd.statuses()) <= {200, 503} and crowd.statuses()[503] <= kills
    assert set(crowd.statuses(since=calm)) == {200}


@pytest.mark.parametrize("ping", [True, False])
def test_wait_timeout__nobody_notices(lab, mariadb, ping):
    """The server closes what has been idle; nobody is given such a connection."""
    mariadb.sql("SET GLOBAL wait_timeout = 2")
    try:
        server = lab(**SETTINGS, DB_POOL_PRE_PING=ping)
        with Crowd(server.port, READ, "GET /nap?ms=50") as crowd:
            crowd.answered(1000)
            before = {row["id"] for row in ours(mariadb)}
            assert len(before) >= 10
            crowd.rest()
            # A worker asks for a sign of life now and then: the connection that it uses for that may live on.
            wait_for(lambda: len(before & {row["id"] for row in ours(mariadb)}) <= 2, "the server to close them")
            crowd.wake()
            crowd.answered(1000)
    finally:
        mariadb.sql("SET GLOBAL wait_timeout = 600")
    assert crowd.whole()
    assert set(crowd.statuses()) == {200}


# -- the server takes fewer than the budget ----------------------------------------------------------------------------

def test_max_connections__below_the_budget_costs_nobody_an_answer(lab, mariadb):
    """The service does with what it gets. Each refusal is counted; the log tells of it, but not of each."""
    mariadb.sql("SET GLOBAL max_connections = 10")
    try:
        server = lab(**SETTINGS)
        with Crowd(server.port, READ, "GET /nap?ms=20") as crowd:
            crowd.answered(2000)
            most = len(ours(mariadb))
            told = server.metrics()["pool"]
    finally:
        mariadb.sql("SET GLOBAL max_connections = 200")
    assert crowd.whole()
    assert set(crowd.statuses()) == {200}
    assert 5 <= most <= 10
    assert 1 <= len(lines(server, "Too many connections")) < told["errors"] <= 100, server.log()


# -- the server is silent ----------------------------------------------------------------------------------------------

def test_server_paused__nobody_waits_longer_than_the_pool_allows(lab, mariadb):
    """For ten seconds it answers nothing. Statements under way wait for it; who has no connection waits for as long as
    DB_POOL_TIMEOUT says, then hears 503. When it goes on, so does the service."""
    timeout, silence = 3, 10
    server = lab(**SETTINGS, DB_POOL_TIMEOUT=timeout)
    with Crowd(server.port, READ) as crowd:
        crowd.answered(2000)
        paused = time.monotonic()
        mariadb.pause()
        while time.monotonic() < paused + silence:
            assert server.get("/health").status == 200
            time.sleep(0.5)
        resumed = time.monotonic()
        mariadb.resume()
        calm = crowd.well()
        crowd.answered(1000)
    assert crowd.whole()
    assert set(crowd.statuses(until=paused)) == set(crowd.statuses(since=calm)) == {200}
    refused = [answer for answer in crowd.of() if answer.status != 200]
    assert refused and len(refused) <= 200 * (silence // timeout + 1)
    assert all(answer.status == 503 and answer.sent < resumed and answer.seconds < silence for answer in refused)
    assert all("waiting=" in answer.problem.json()["detail"] for answer in refused), "the numbers are not told"
    assert restarts(server) == 0
