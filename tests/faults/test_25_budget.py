# SPDX-License-Identifier: MIT
"""One budget of connections for all workers of a node, however they burst and die."""
import os
import random
import signal
import threading
import time

import pytest

from harness import Closed, sanad, wait_for
from mariadb import USER, available
from service import settings_of

pytestmark = pytest.mark.skipif(not available(), reason="there is no mariadb-server")

WORKERS, BASE, OVERFLOW = 4, 6, 8
BETWEEN = 2
OURS = f"SELECT COUNT(*) AS n FROM information_schema.processlist WHERE user = '{USER}'"


class Load:
    """Clients on short connections, so that they reach all workers; a killed worker may cost those that it held."""

    def __init__(self, server, target, count):
        self.server, self.target, self.going = server, target, True
        self.answers, self.broken = [], 0
        self.threads = [threading.Thread(target=self._ask) for _ in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.going = False
        for thread in self.threads:
            thread.join()

    def _ask(self):
        while self.going:
            try:
                with self.server.connect() as wire:
                    for _ in range(5):
                        self.answers.append(wire.get(self.target).status)
            except (OSError, Closed):
                self.broken += 1


def settings(**more):
    return {"MAX_WORKERS": WORKERS, "DB_POOL_SIZE": BASE, "DB_MAX_OVERFLOW": OVERFLOW, "CACHE_ENABLED": False, **more}


def most_used(mariadb):
    """The most connections since the last FLUSH STATUS; the tests' own client is one of them. The server closes a
    socket a moment before it counts the connection no more: on a busy machine another one may come in between."""
    return int(mariadb.rows("SHOW GLOBAL STATUS LIKE 'Max_used_connections'", None)[0]["Value"]) - 1 - BETWEEN


def forget_most_used(mariadb, connections):
    wait_for(lambda: int(mariadb.value(OURS, None)) <= connections, "the connections of others to be closed")
    mariadb.sql("FLUSH STATUS", None)


def test_budget__is_never_exceeded_as_the_server_counts(serve, mariadb):
    """Also while workers hand connections to each other: one is opened when the other is closed at the server's."""
    forget_most_used(mariadb, 0)
    server = serve(**settings())
    with Load(server, "/api/certificates/public?limit=20", 60) as load:
        wait_for(lambda: len(load.answers) > 2000, "the load to run")
    assert set(load.answers) == {200}
    assert not load.broken
    assert most_used(mariadb) <= BASE + OVERFLOW


def test_budget__holds_through_kills_of_workers(serve, mariadb):
    """The server may notice late that a killed worker's connections have ended; but then the sum is as before."""
    server = serve(**settings())
    chance = random.Random(7)
    with Load(server, "/api/certificates/public?limit=20", 60) as load:
        wait_for(lambda: len(load.answers) > 200, "the load to run")
        for _ in range(12):
            victim = chance.choice(server.workers())
            os.kill(victim, signal.SIGKILL)
            wait_for(lambda: len(server.workers()) == WORKERS and victim not in server.workers(), "its replacement")
            goal = len(load.answers) + 200
            wait_for(lambda: len(load.answers) > goal, "the load to go on")
        forget_most_used(mariadb, BASE + OVERFLOW)
        goal = len(load.answers) + 1000
        wait_for(lambda: len(load.answers) > goal, "the load to go on")
        assert most_used(mariadb) <= BASE + OVERFLOW
        assert server.metrics()["overflow"] <= OVERFLOW
    assert set(load.answers) == {200}


def test_budget__is_used_up_by_a_rush_and_told_in_metrics(serve, mariadb):
    server = serve(**settings())
    with Load(server, "/api/certificates/public?limit=100", 60):
        told = wait_for(lambda: (lambda m: m if m["overflow"] == OVERFLOW else None)(server.metrics()), "the overflow")
        assert told["pool_size"] == BASE
        assert told["checked_in"] + told["checked_out"] <= BASE + OVERFLOW
        assert int(mariadb.value(OURS, None)) <= BASE + OVERFLOW


def test_budget__of_a_killed_worker_is_free_for_the_others(serve, mariadb):
    """Again and again: a token lost in each kill would leave none after a while."""
    server = serve(**settings(DB_POOL_SIZE=WORKERS, DB_MAX_OVERFLOW=2))
    with Load(server, "/api/certificates/public?limit=100", 60) as load:
        for _ in range(8):
            wait_for(lambda: server.metrics()["overflow"] == 2, "all of the overflow to be in use")
            victim = server.workers()[0]
            os.kill(victim, signal.SIGKILL)
            wait_for(lambda: len(server.workers()) == WORKERS and victim not in server.workers(), "its replacement")
        wait_for(lambda: server.metrics()["overflow"] == 2, "all of the overflow to be in use")
    assert set(load.answers) == {200}


def test_start__with_fewer_connections_than_workers_is_refused(mariadb, tmp_path):
    done = sanad(tmp_path, "serve", settings=settings_of(mariadb, MAX_WORKERS=4, DB_POOL_SIZE=2, DB_MAX_OVERFLOW=1),
                 status=78)
    assert "DB_POOL_SIZE (2) and DB_MAX_OVERFLOW (1)" in done.stderr and "MAX_WORKERS (4)" in done.stderr


def test_warm__opens_the_base_before_the_first_request(serve, mariadb):
    wait_for(lambda: mariadb.value(OURS, None) == "0", "the connections of others to be closed")
    server = serve(**settings(DB_POOL_WARM=True))
    wait_for(lambda: int(mariadb.value(OURS, None)) == BASE, "the base to be open")
    time.sleep(1.5)                      # a look or two of its housekeeping: it stays at that
    assert int(mariadb.value(OURS, None)) == BASE
    assert server.metrics()["checked_in"] == BASE
