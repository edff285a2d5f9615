# SPDX-License-Identifier: MIT
"""The specification's load test: Locust, 500 users, on MariaDB with four workers; and the server's own view beside it."""
import csv
import json
import math
import subprocess
import time
from pathlib import Path

import trial
from kit import CORES, Process, free_port, ms, rate
from node import Histogram, Node, NotMeasured, ROOT, database, say, settings_for
from report import Section

LOCUSTFILE = ROOT / "loadtest" / "locustfile.py"
REPORTS = ROOT / "loadtest" / "reports"
ROUTES = ("/api/certificates/templates", "/api/certificates/public", "/health")
SLOW_CLIENT_MOST = 1000          # users; python-requests has no time for more
LEAST_SPAWN_RATE = 50            # the specification's; more users come in ten seconds, too
MEAN_THINK = 2.0                 # seconds
PERCENTILES = ("50%", "95%", "99%")
LOOK = 5                         # seconds between two lines of progress
WITNESSES = 50                   # users
WITNESS_BEFORE, WITNESS_LEAST = 5, 5     # seconds: so long before the end they end, and so long they ask at least


class Locust:
    """A master and a process for each core; the users are shared out among them."""

    def __init__(self, folder, port, users, spawn_rate, seconds):
        self.folder, self.seconds = Path(folder), seconds
        self.user_class = "ApiUser" if users <= SLOW_CLIENT_MOST else "FastApiUser"
        self.html = REPORTS / f"locust-{users}.html"
        self.count, self.master_port = len(CORES), free_port()
        self.common = ["locust", "-f", str(LOCUSTFILE), "--reset-stats", "--loglevel", "WARNING"]
        self.master = ["--master", "--headless", "--master-bind-host", "127.0.0.1", "--master-bind-port", str(self.master_port),
                       "--expect-workers", str(self.count), "--expect-workers-max-wait", "60", "--host", f"http://127.0.0.1:{port}",
                       "--users", str(users), "--spawn-rate", str(spawn_rate), "--run-time", f"{seconds}s", "--stop-timeout", "10",
                       "--csv", str(self.folder / "locust"), "--html", str(self.html), "--only-summary",
                       "--exit-code-on-error", "0"]
        self.processes = []

    def __enter__(self):
        REPORTS.mkdir(exist_ok=True)
        env = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            self.processes.append(Process([*self.common, *self.master, self.user_class], self.folder, env))
            for _ in range(self.count):
                self.processes.append(Process([*self.common, "--worker", "--master-host", "127.0.0.1", "--master-port",
                                               str(self.master_port), self.user_class], self.folder, env))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.__exit__()

    def running(self):
        return self.processes[0].popen.poll() is None

    def log(self):
        return "\n".join(process.log.read_text(errors="replace")[-600:].strip() for process in self.processes)

    def stats(self):
        """{route: row of its CSV}; all together under "Aggregated"."""
        path = self.folder / "locust_stats.csv"
        if not path.exists():
            raise NotMeasured(f"Locust left no statistics:\n{self.log()}")
        with path.open() as file:
            return {row["Name"]: row for row in csv.DictReader(file)}

    def failures(self):
        with (self.folder / "locust_failures.csv").open() as file:
            return [f"{row['Occurrences']} x {row['Name']}: {row['Error'][:120]}" for row in csv.DictReader(file)]


class Witness:
    """A few users of paced who ask at the same time: a second opinion on what clients wait, of a program that is not busy."""

    def __init__(self, program, port, seconds):
        self.program, self.port, self.seconds, self.process = program, port, max(WITNESS_LEAST, seconds - WITNESS_BEFORE), None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process:
            trial.stop(self.process)

    def start(self):
        self.process = trial.start(self.program, self.port, None, users=WITNESSES, seconds=self.seconds, ramp=1000, warmup=1)

    def result(self):
        out, words = self.process.communicate(timeout=120)
        if self.process.returncode:
            raise NotMeasured(f"paced: {words[-300:]}")
        return json.loads(out)


class Watch:
    """The node while it is loaded: progress, the most memory a worker took, the most connections it had."""

    def __init__(self, node):
        self.node, self.rss, self.connections, self.db = node, 0.0, 0, 0

    def look(self, title):
        metrics = self.node.metrics()
        self.rss = max([self.rss, *self.node.rss_mib()])
        self.connections = max(self.connections, metrics.gauge("http_server_connections") - 1)   # without this one
        self.db = max(self.db, metrics.gauge("db_client_connections"))
        say(f"{title}: {metrics.gauge('http_server_connections') - 1:,} connections, "
            f"{int(metrics.sum('http_server_request_duration_seconds_count')):,} requests answered so far")
        return metrics


def follow(locust, watch, witness, coming, limit):
    """(metrics when all users had come, and at the end, their distance in seconds, processor seconds between)"""
    started, first = time.monotonic(), None
    while locust.running():
        passed = time.monotonic() - started
        if passed > limit:
            raise NotMeasured(f"Locust did not end after {limit} s:\n{locust.log()}")
        if passed >= coming and first is None and watch.connections:
            first = (watch.look("all users are there"), time.monotonic(), watch.node.cpu())
            last = first
            witness.start()
        elif passed < locust.seconds - 1:
            seen = watch.look(f"{passed:.0f} of {locust.seconds} s")
            last = (seen, time.monotonic(), watch.node.cpu())
        try:
            locust.processes[0].popen.wait(LOOK)
        except subprocess.TimeoutExpired:
            pass
    if first is None:
        raise NotMeasured(f"Locust ended too early:\n{locust.log()}")
    return first, last


def load(options, folder):
    users, workers = options.users, options.workers
    spawn_rate = options.spawn_rate or max(LEAST_SPAWN_RATE, users // 10)
    coming = math.ceil(users / spawn_rate)
    title = f"Locust: {users:,} users"
    with database("mariadb", options.binary, folder) as db:
        more = {"ACCESS_LOG": Path(folder) / "access.log", **settings_for(users, workers)}
        with Node(options.binary, folder, db, workers, **more) as node, \
                Locust(folder, node.port, users, spawn_rate, coming + options.seconds) as locust, \
                Witness(options.paced, node.port, options.seconds) as witness:
            watch = Watch(node)
            first, last = follow(locust, watch, witness, coming, coming + options.seconds + 120)
            stats, failures, witnessed = locust.stats(), locust.failures(), witness.result()
        section = Section(title)
        section.text(setting_words(options, spawn_rate, db, locust, more))
        requests_table(section, stats, witnessed, first[0], last[0])
        others_table(section, users, workers, stats, watch, first, last)
        if failures:
            section.text("Failures: " + "; ".join(failures[:10]))
        section.text(f"Locust's own report: loadtest/reports/{locust.html.name}.")
    section.write(options.out)
    total = stats["Aggregated"]
    return int(int(total["Failure Count"]) + trial.failed(witnessed) > 0 or int(total["Request Count"]) == 0)


def setting_words(options, spawn_rate, db, locust, more):
    told = ", ".join(f"`{key}={value}`" for key, value in more.items() if key != "ACCESS_LOG") or "none beyond the defaults"
    return (f"{options.seconds} s after all users had come ({spawn_rate:,} a second). {options.workers} workers, limiter on, access "
            f"log on, {db.name} as `deploy/my.cnf` sets it up. Locust ({locust.user_class}) as a master and {locust.count} worker "
            f"processes on the same {len(CORES)} cores. Settings for so many users: {told}.")


def requests_table(section, stats, witnessed, before, after):
    rows = []
    for route in (*ROUTES, "Aggregated"):
        row = stats.get(route)
        if row is None:
            continue
        seen = witnessed["sent_ms"]["all" if route == "Aggregated" else route]
        own = Histogram(before, after, ROUTES if route == "Aggregated" else (route,))
        rows.append([route if route != "Aggregated" else "all", f"{float(row['Requests/s']):.1f}", row["Failure Count"],
                     *(f"{row[percentile]} ms" for percentile in PERCENTILES),
                     *(ms(seen["p" + percentile[:-1]]) for percentile in PERCENTILES), f"{own.mean_ms:.3f} ms",
                     *(within(own.at_most_ms(float(percentile[:-1]) / 100)) for percentile in PERCENTILES)])
    section.table(["route", "requests/s", "failures", *(f"Locust p{p[:-1]}" for p in PERCENTILES),
                   *(f"witness p{p[:-1]}" for p in PERCENTILES), "server mean",
                   *(f"server p{p[:-1]}" for p in PERCENTILES)], rows)
    section.text("Three clocks for the same server at the same time. Locust's: whole milliseconds of busy Python processes. The "
                 f"witness's: {WITNESSES} more users of a small C program (loadtest/paced), so what clients wait, the kernel's "
                 f"queues included; failures of theirs: {trial.kinds(witnessed)}. The server's: its own histogram, from a request's "
                 "head to its response. What Locust tells beyond the witness is its own.")


def within(bound_ms):
    return f"<= {bound_ms:g} ms"


def others_table(section, users, workers, stats, watch, first, last):
    total = stats["Aggregated"]
    seconds = last[1] - first[1]
    server, db, machine = ((b - a) / seconds if seconds > 0 else float("nan") for a, b in zip(first[2], last[2]))
    paced = users / MEAN_THINK
    section.table(["what", "measured", "specification"], [
        ["concurrent users", f"{users:,} and {WITNESSES} ({watch.connections:,} connections)", "500+"],
        ["requests a second", rate(float(total["Requests/s"])), f"1,000+; at their pace the users ask {paced:,.0f} times"],
        ["failures", total["Failure Count"], "0"],
        ["p99, as Locust saw it", f"{total['99%']} ms", "< 200 ms cached, < 500 ms database"],
        ["database connections, most", watch.db, "150"],
        [f"RSS a worker, most of {workers}", f"{watch.rss:.1f} MiB", "500 MB to 1 GB"],
        ["cores busy: server, database, whole machine", f"{server:.2f}, {db:.2f}, {machine:.2f} of {len(CORES)}",
         "scales with workers"],
    ])
