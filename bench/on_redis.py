# SPDX-License-Identifier: MIT
"""What Redis costs and gives: limits counted by several nodes, the cache's second level, writes told to other nodes.

One real server of the tests (tests/faults/redis.py) on its Unix socket, on a core of its own where there are enough.
"""
import http.client
import json
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager

from kit import CERTIFICATES, CORES, PUBLIC, ROOT, TEMPLATES, NotMeasured, Process, answers, compared, free_port, ms, wrk
from on_mariadb import SECRET, database

sys.path.insert(0, str(ROOT / "tests" / "faults"))
import redis as redis_server  # noqa: E402

NODES_WITH_REDIS = {"SECRET_KEY": SECRET}
UNLIMITED = {"RATE_LIMIT_ENABLED": "True", "RATE_LIMIT_PER_MINUTE": 1000000, "RATE_LIMIT_PER_HOUR": 10000000,
             "TRUSTED_PROXIES": "127.0.0.1"}
FIRST_ASKS = 2000               # different pages, each asked for once
WRITES = 300                    # of which each is waited for at the other node
BOUND_MS = 50


@contextmanager
def redis(folder, cores=None):
    if not redis_server.available():
        raise NotMeasured("redis-tools is not installed")
    with redis_server.Redis(folder) as running:
        if cores:
            subprocess.run(["taskset", "-acp", ",".join(map(str, cores)), str(running.process.pid)], check=True,
                           stdout=subprocess.DEVNULL)
        yield running


class OnRedis:
    def __init__(self, bench):
        self.bench = bench
        one = len(CORES) > 3
        self.server_cores, self.redis_cores, self.load_cores = (CORES[:1], CORES[1:2], CORES[2:]) if one else (None, None, None)
        self.redis = None

    def measure(self):
        with redis(self.bench.folder / "redis", self.redis_cores) as self.redis:
            self.bench.attempt("Limiter: counted by this node, and by all nodes in Redis", self.limits)
            self.bench.attempt(f"First asks after a start: {FIRST_ASKS:,} different pages, each once", self.first_asks)
            self.bench.attempt("A write on one node, seen by readers of another", self.writes)

    # -- limits ------------------------------------------------------------------

    def limits(self, title):
        script = self.bench.addresses()
        ours = lambda **more: self.bench.ours(self.server_cores, 1, **more)       # noqa: E731
        with ours(TRUSTED_PROXIES="127.0.0.1") as off, ours(**UNLIMITED) as alone, \
                ours(**UNLIMITED, **NODES_WITH_REDIS, **self.redis.settings()) as together:
            wait_for_redis(together.port)
            ports = {"limits in Redis": together.port, "limits of this node": alone.port, "limiter off": off.port}
            told = self.bench.rotated({name: lambda seconds, port=port: wrk(port, TEMPLATES, seconds, self.load_cores, script=script)
                                       for name, port in ports.items()})
        self.bench.table(title, ["limits", "requests/s", "p50", "p99", "Redis against it", "errors"],
                         compared(told, "limits in Redis"),
                         "The cached templates list to 500 addresses in turn on 500 connections. One worker and Redis with a core each, "
                         "the load on the others." if self.server_cores else "All on the same cores.")

    # -- the second level --------------------------------------------------------

    def first_asks(self, title):
        times = {}
        for name, settings in (("SQLite", {}), ("MariaDB", None)):
            if settings is not None:
                times |= self.cold_and_shared(name, settings)
                continue
            with database(self.bench.folder) as db:
                settings = db.settings(by_socket=True)
                self.bench.fill(**settings, **NODES_WITH_REDIS)
                times |= self.cold_and_shared(name, settings)
        self.bench.table(title, ["answered by", "p50", "p99", "all of them"],
                         [[name, ms(statistics.median(of)), ms(sorted(of)[len(of) * 99 // 100]), f"{sum(of) / 1000:.2f} s"]
                          for name, of in times.items()],
                         f"The first 1 to 120 of {CERTIFICATES:,} certificates in all categories, one client, one request after the other; "
                         "each round a fresh server. The second level spares the database; what it saves depends on its cost.")

    def cold_and_shared(self, name, settings):
        paths = [f"{PUBLIC}?skip={number // 100}&limit={number % 100 + 1}" for number in range(FIRST_ASKS)]
        cold, shared = [], []
        for _ in range(self.bench.rounds):
            self.redis.cli("FLUSHALL")
            for into, more in ((cold, {}), (None, self.redis.settings()), (shared, self.redis.settings())):
                with self.bench.ours(None, 1, **{**settings, **NODES_WITH_REDIS, **more, "CACHE_TTL": 600}) as server:
                    if more:
                        wait_for_redis(server.port)
                    told = ask(server.port, paths)
                if into is not None:
                    into += told
        return {f"{name}, without Redis": cold, f"{name}, the second level in Redis": shared}

    # -- staleness ---------------------------------------------------------------

    def writes(self, title):
        program = self.bench.binary.parent / "tests" / "lab" / "lab"
        if not program.exists():
            raise NotMeasured(f"{program} is not built")
        settings = {**NODES_WITH_REDIS, **self.redis.settings(), "DB_PATH": self.bench.folder / "counter.db", "CACHE_TTL": 600}
        with self.lab(program, settings) as a, self.lab(program, settings) as b:
            for node in (a, b):
                wait_for_redis(node.port)
            rows = []
            for what, load in (("no other load", None), ("500 connections of load on the reader's node", b.port)):
                delays, stale = self.seen_after(a.port, b.port, load)
                rows.append([what, ms(statistics.median(delays)), ms(sorted(delays)[len(delays) * 99 // 100]), ms(max(delays)), stale])
        self.bench.table(title, ["load", "p50", "p99", "longest", f"older after {BOUND_MS} ms"], rows,
                         f"From the writer's answer to the start of the first request that got the new value; {WRITES} writes each. "
                         f"Goal: {BOUND_MS} ms.")

    def lab(self, program, settings):
        port = free_port()
        process = Process([program], self.bench.folder, self.bench.environment(PORT=port, MAX_WORKERS=2, **settings))
        process.port = port
        try:
            return process.wait_until(lambda: answers(port, "/health"), "lab")
        except BaseException:
            process.__exit__()
            raise

    def seen_after(self, writer_port, reader_port, load_port):
        """Milliseconds of each write until it was seen, and how many answers asked for later than the bound were older."""
        load = None if load_port is None else subprocess.Popen(
            ["wrk", "-t2", "-c500", "-d600s", f"http://127.0.0.1:{load_port}/count"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        writer, reader = (http.client.HTTPConnection("127.0.0.1", port, timeout=30) for port in (writer_port, reader_port))
        delays, stale = [], 0
        try:
            for _ in range(WRITES):
                value = counter(writer, "POST")
                since = time.perf_counter()
                while True:
                    asked = (time.perf_counter() - since) * 1000
                    if counter(reader, "GET") >= value:
                        break
                    stale += asked > BOUND_MS
                delays.append(asked)
        finally:
            if load:
                load.terminate()
                load.wait()
        return delays, stale


def counter(connection, method):
    connection.request(method, "/count")
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise NotMeasured(f"{method} /count answered {answer.status}")
    return json.loads(body)["value"]


def ask(port, paths):
    """Milliseconds of each."""
    connection, times = http.client.HTTPConnection("127.0.0.1", port, timeout=30), []
    for path in paths:
        started = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        times.append((time.perf_counter() - started) * 1000)
        if answer.status != 200:
            raise NotMeasured(f"{path} answered {answer.status}")
    connection.close()
    return times


def wait_for_redis(port):
    """Until a worker says that it uses it."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/metrics?format=prometheus")
        text = connection.getresponse().read().decode()
        connection.close()
        if "\nredis_client_up 0" not in text:
            return
        time.sleep(0.05)
    raise NotMeasured("the server does not use Redis")
