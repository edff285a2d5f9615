# SPDX-License-Identifier: MIT
"""How many paced users one node holds: with MariaDB and with SQLite, cache on and off."""
import time
from pathlib import Path

import trial
from kit import CORES, ms, rate
from node import Node, NotMeasured, database, open_files, say, settings_for
from report import Section

P99_MS = 200                     # the specification's, for what is cached; here for all
FIRST = {True: 32000, False: 4000}   # users, with the cache on and off
MOST = 512000
FILES_KEPT = 1000                # of each worker, for the database and itself
WORKERS_A_CORE = 8               # at most, where one worker may not open files enough
CLOSE_ENOUGH = 1.1               # between what holds and what does not
TRIES = 2                        # one that fails may have met with something else on this machine
ARRIVALS = 20000                 # users a second, while they come
WARMUP, MEASURED = 3, 8          # seconds
BUSY = 0.85                      # of its cores: that is what limits
EVEN_ENOUGH = 0.9                # of all workers' room: the kernel deals connections out by a hash, unevenly


class Search:
    """The most users that a node holds: doubling until it does not, then halving the gap."""

    def __init__(self, options, node, server_cores, load_cores, most):
        self.options, self.node, self.load_cores, self.most = options, node, load_cores, most
        self.room = {"server": server_cores, "load": len(load_cores)}
        self.good = self.bad = None      # results

    def run(self, users, minutes):
        """From so many users on, until the time is over; but at least something must hold."""
        until = time.monotonic() + 60 * minutes
        users = min(users, self.most)
        while users and (time.monotonic() < until or not self.good):
            result = self.attempt(users)
            if holds(result):
                self.good = result
            else:
                self.bad = result
            users = self.next_users()
        return self

    def next_users(self):
        good, bad = (result["users"] if result else 0 for result in (self.good, self.bad))
        if not bad:
            return min(2 * good, self.most) if good < self.most else None
        if not good:
            return bad // 2 if bad > 100 else None
        return (good + bad) // 2 if bad > good * CLOSE_ENOUGH else None

    def attempt(self, users):
        for _ in range(TRIES):
            result = trial.run(self.options.paced, self.node, self.load_cores, users=users, warmup=WARMUP, seconds=MEASURED,
                               ramp=max(2000, users * 1000 // ARRIVALS))
            say(f"{users:,} users: {p99_words(result)}, {rate(result['rate'])} requests/s, late {ms(late(result))}, "
                f"{cores_words(result['cores'])}")
            if holds(result):
                break
        return result

    def limit(self):
        """What kept the next larger number from holding."""
        result = self.bad
        if not result:
            return "time was up" if self.good["users"] < self.most else "open files" if self.most < MOST else "the search's end"
        if result["failures"]["local"] + result["warm_failures"]["local"]:
            return "ports or open files of the load's side"
        busy = {who: result["cores"][who] / self.room[who] for who in self.room}
        busy["server"] += result["cores"]["database"] / self.room["server"]
        if busy["load"] > BUSY and busy["load"] > busy["server"] or late(result) > P99_MS / 2:
            return f"the load generator ({busy['load']:.0%} busy, late by {ms(late(result))} itself)"
        if busy["server"] > BUSY:
            return f"the server's cores ({busy['server']:.0%} busy, of it database {result['cores']['database']:.1f} cores)"
        if result["cores"]["others"] > 0.5:
            return f"other programs on this machine ({result['cores']['others']:.1f} cores)"
        return f"waits: server {busy['server']:.0%}, load {busy['load']:.0%} busy"

    def row(self):
        """users held, requests a second, p50, p99, failures, memory, cores, tried in vain, why"""
        rss = f"{max(self.node.rss_mib()):.0f} MiB, own {max(self.node.own_mib()):.0f}"
        in_vain = f"{self.bad['users']:,}: {p99_words(self.bad)}" if self.bad else "-"
        if not self.good:
            return ["none", "-", "-", "-", "-", rss, cores_words(self.bad["cores"]), in_vain, self.limit()]
        good = self.good
        return [f"{good['users']:,}", rate(good["rate"]), ms(good["intended_ms"]["all"]["p50"]), ms(p99(good)), trial.failed(good),
                rss, cores_words(good["cores"]), in_vain, self.limit()]


def p99_words(result):
    return f"p99 {ms(p99(result))}, failures {trial.kinds(result)}"


def late(result):
    return result["late_ms"]["p99"]


def p99(result):
    return result["intended_ms"]["all"]["p99"]


def holds(result):
    return trial.failed(result) == 0 and result["answers"] > 0 and p99(result) < P99_MS


def cores_words(cores):
    return ", ".join(f"{who} {value:.2f}" for who, value in cores.items()) + " cores"


def server_size(cores):
    """(workers, users that they have file descriptors for): a worker a core, more where a process may open few files."""
    a_worker = open_files() - FILES_KEPT
    workers = max(cores, min(cores * WORKERS_A_CORE, -(-MOST // a_worker)))
    return workers, min(MOST, int(workers * a_worker * EVEN_ENOUGH))


def capacity(options, folder):
    if len(CORES) < 2:
        raise NotMeasured("server and load need a core each")
    half = len(CORES) // 2
    server_cores, load_cores = CORES[:half], CORES[half:]
    workers, most = server_size(half)
    kinds = options.databases.split(",")
    section = Section("Capacity of one node")
    section.text(f"How many users one node holds with p99 below {P99_MS} ms and no failure, warm-up included; latency counts from "
                 f"the moment at which a user meant to ask (open load, {MEASURED} s measured, told at most 0.8 % too long). Server "
                 f"({workers} workers) and database on {half} cores, load on {len(load_cores)} others. Limiter on, access log off. "
                 f"At most {most:,} users are tried: a process may open {open_files():,} files here.")
    rows = []
    deadline = time.monotonic() + 60 * options.minutes
    for kind in kinds:
        with database(kind, options.binary, folder, server_cores) as db:
            for cached in (True, False):
                minutes = (deadline - time.monotonic()) / 60 / (2 * len(kinds) - len(rows))
                say(f"{db.name}, cache {'on' if cached else 'off'}: {minutes:.1f} minutes")
                more = {**settings_for(most, workers), "CACHE_ENABLED": cached}
                with Node(options.binary, folder, db, workers, server_cores, **more) as node:
                    found = Search(options, node, half, load_cores, most).run(FIRST[cached], minutes)
                    rows.append([db.name, "on" if cached else "off", *found.row()])
    section.table(["database", "cache", "users held", "requests/s", "p50", "p99", "failures", "RSS a worker", "cores busy",
                   "tried in vain", "limited by"], rows)
    told = ", ".join(f"`{key}={value}`" for key, value in settings_for(most, workers).items())
    section.text(f"Settings: {told}; {somaxconn()}. Each user has an address (X-Forwarded-For) and a connection of its own; "
                 "5,000 of them share one address of this machine, from 127.0.0.2 on, for the sake of ports.")
    section.write(options.out)
    return int(any(row[2] == "none" for row in rows))


def somaxconn():
    return "`net.core.somaxconn = " + Path("/proc/sys/net/core/somaxconn").read_text().strip() + "`"
