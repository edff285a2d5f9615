# SPDX-License-Identifier: MIT
"""One node under load: a database with the demo data, the server on it, and what can be seen of both from outside."""
import os
import re
import resource
import subprocess
import sys
import tempfile
import urllib.request
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests" / "faults")]
import mariadb  # noqa: E402
from kit import CERTIFICATES, NotMeasured, Process, answers, children, free_port, rss_kib  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
SECRET = "the load test's own secret, of no use elsewhere"
PLAIN_CONNECTIONS = 1000         # WORKER_CONNECTIONS and LIMIT_CONCURRENCY, a worker, if nothing else is said
PLAIN_CLIENTS = 100000           # RATE_LIMIT_CLIENTS
MANY_FILES = 1 << 20


def say(text):
    print(f"loadtest: {text}", file=sys.stderr, flush=True)


def allow_files():
    """As many open files a process as the system gives; children inherit it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for wanted in (max(hard, MANY_FILES), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            return
        except (ValueError, OSError):
            continue


def open_files():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def settings_for(users, workers):
    """What so many users need beyond the defaults; nothing for the specification's 500.

    The kernel deals connections out by a hash: one worker may have half as many again as the next."""
    more = {}
    connections = users * 2 // workers + 200
    if connections > PLAIN_CONNECTIONS:
        more.update(WORKER_CONNECTIONS=connections, LIMIT_CONCURRENCY=connections, BACKLOG=65535)
    if users * 2 > PLAIN_CLIENTS:
        more.update(RATE_LIMIT_CLIENTS=users * 4)
    return more


# -- databases -----------------------------------------------------------------------------------------------------

class Database:
    """Where the server keeps its rows: its settings, its name, its process if it has one."""

    def __init__(self, name, settings, pid=None):
        self.name, self.settings, self.pid = name, settings, pid


@contextmanager
def database(kind, binary, folder, cores=None):
    """kind: mariadb or sqlite; filled."""
    with (on_mariadb(folder, cores) if kind == "mariadb" else on_sqlite(folder)) as made:
        say(f"{made.name}: {CERTIFICATES:,} demo certificates")
        for command in (["migrate"], ["demo", "--certificates", str(CERTIFICATES), "--seed", "1"]):
            done = subprocess.run([binary, *command], cwd=folder, env=environment(folder, made.settings), timeout=300,
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if done.returncode:
                raise NotMeasured(f"sanad {command[0]}: {done.stderr[-500:]}")
        yield made


@contextmanager
def on_mariadb(folder, cores):
    if not mariadb.available():
        raise NotMeasured("mariadb-server is not installed: scripts/bootstrap loadtest")
    with mariadb.MariaDB(tempfile.mkdtemp(dir=folder), innodb_buffer_pool_size="512M") as db:
        if cores:
            subprocess.run(["taskset", "-acp", ",".join(map(str, cores)), str(db.process.pid)], check=True, capture_output=True)
        version = db.value("SELECT VERSION() AS v", database=None).split("-")[0]
        yield Database(f"MariaDB {version}", db.settings(by_socket=True), db.process.pid)


@contextmanager
def on_sqlite(folder):
    yield Database("SQLite", {"DB_DRIVER": "sqlite", "DB_PATH": Path(tempfile.mkdtemp(dir=folder)) / "sanad.db"})


# -- the server ----------------------------------------------------------------------------------------------------

def environment(folder, settings):
    """Only what a program needs to run, and the settings. The limiter is on, as it is by default."""
    plain = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder), "LANG": "C.UTF-8"}
    ours = {"HOST": "127.0.0.1", "TRUSTED_PROXIES": "127.0.0.0/8", "REAL_IP_HEADER": "x-forwarded-for",
            "SECRET_KEY": SECRET, "WEB_DIR": ROOT / "web", "ACCESS_LOG": ""}
    return {**plain, **{key: str(value) for key, value in {**ours, **settings}.items()}}


class Node:
    """A running server on a database."""

    def __init__(self, binary, folder, where, workers, cores=None, **settings):
        self.port, self.database, self.settings = free_port(), where, settings
        self.process = Process([binary, "serve"], folder, environment(folder, {
            **where.settings, "PORT": self.port, "MAX_WORKERS": workers, **settings}), cores)
        try:
            self.process.wait_until(lambda: answers(self.port, "/health"), "sanad")
        except BaseException:
            self.process.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.__exit__()

    def workers(self):
        return children(self.process.popen.pid)

    def rss_mib(self):
        """Of each worker; what it shares with the others (the limiter's table) counts for each."""
        return [rss_kib(pid) / 1024 for pid in self.workers()]

    def own_mib(self):
        """Of each worker, without what is shared."""
        return [anonymous_kib(pid) / 1024 for pid in self.workers()]

    def cpu(self):
        """Processor seconds used so far: (server, database, whole machine)."""
        server = sum(map(cpu_seconds, [self.process.popen.pid, *self.workers()]))
        return server, cpu_seconds(self.database.pid) if self.database.pid else 0.0, machine_seconds()

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics?format=prometheus", timeout=60) as answer:
            return Metrics(answer.read().decode())


def anonymous_kib(pid):
    found = re.search(r"^RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(found.group(1)) if found else 0


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def machine_seconds():
    """All processors together: working, for whomever."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split(None, 9)[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


# -- what the server says of itself --------------------------------------------------------------------------------

SAMPLE = re.compile(r"^([a-z_:]+)(?:\{(.*)\})? (\S+)$", re.M)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
DURATION = "http_server_request_duration_seconds"


class Metrics:
    def __init__(self, text):
        self.samples = [(name, dict(LABEL.findall(labels or "")), float(value))
                        for name, labels, value in SAMPLE.findall(text)]

    def sum(self, name, **labels):
        return sum(value for of, has, value in self.samples
                   if of == name and all(has.get(key) == text for key, text in labels.items()))

    def gauge(self, name):
        """The sum over its labels."""
        if not any(of == name for of, _, _ in self.samples):
            raise NotMeasured(f"the server's metrics have no {name}")
        return int(self.sum(name))

    def buckets(self, routes):
        """{upper bound in ms: requests at most so long}, of all statuses."""
        found = defaultdict(float)
        for name, labels, value in self.samples:
            if name == DURATION + "_bucket" and labels.get("http_route") in routes:
                found[float(labels["le"]) * 1000] += value
        return found

    def duration_ms(self, routes):
        return 1000 * sum(self.sum(DURATION + "_sum", http_route=route) for route in routes)


class Histogram:
    """Requests to some routes between two readings of the metrics, as the server timed them."""

    def __init__(self, before, after, routes):
        earlier = before.buckets(routes)
        self.buckets = sorted((bound, count - earlier.get(bound, 0)) for bound, count in after.buckets(routes).items())
        self.count = self.buckets[-1][1] if self.buckets else 0
        total = after.duration_ms(routes) - before.duration_ms(routes)
        self.mean_ms = total / self.count if self.count else float("nan")

    def at_most_ms(self, share):
        """A bound that the percentile does not exceed: buckets know no more."""
        return next((bound for bound, count in self.buckets if self.count and count >= share * self.count), float("nan"))
