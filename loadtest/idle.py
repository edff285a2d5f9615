# SPDX-License-Identifier: MIT
"""Whether idle connections cost the busy ones anything: without and with ten thousand of them, in turn."""
import statistics
import time

import trial
from capacity import cores_words, p99
from kit import CORES, ms, rate
from node import Node, NotMeasured, database, say, settings_for
from report import Section

BUSY_USERS, THINK_MS = 500, (20, 60)
ROUND_SECONDS = 8
WORSE_AT_MOST = 1.2
COMING_MOST = 60                 # seconds


def idle(options, folder):
    """Without and with the idle ones, in turn: medians of the rounds."""
    half = max(1, len(CORES) // 2)
    server_cores, load_cores = CORES[:half], CORES[half:] or CORES
    section = Section(f"{options.idle:,} idle connections beside {BUSY_USERS} busy ones")
    more = {**settings_for(options.idle + BUSY_USERS, half), "KEEP_ALIVE": 3600, "RATE_LIMIT_PER_MINUTE": 1000000,
            "RATE_LIMIT_PER_HOUR": 10000000}
    runs = {0: [], options.idle: []}
    with database("mariadb", options.binary, folder, server_cores) as db, \
            Node(options.binary, folder, db, half, server_cores, **more) as node:
        for number in range(options.rounds):
            for count, results in runs.items():
                results.append(beside(options, node, count, load_cores))
                say(f"round {number + 1} of {options.rounds}, {count:,} idle: p99 {ms(p99(results[-1]))}, "
                    f"{cores_words(results[-1]['cores'])}")
    section.text(f"{BUSY_USERS} users who ask every {THINK_MS[0]} to {THINK_MS[1]} ms, paced; {options.rounds} rounds of "
                 f"{ROUND_SECONDS} s, without and with the idle ones in turn, medians. Server and database on {half} cores, load "
                 f"on {len(load_cores)}, {db.name}. Goal: p99 at most {WORSE_AT_MOST - 1:.0%} worse.")
    rows = [idle_row(count, results, median(runs[0], "p99")) for count, results in runs.items()]
    section.table(["idle connections", "requests/s", "p50", "p99", "p99 against none", "failures", "server cores busy"], rows)
    section.write(options.out)
    return int(any(trial.failed(result) for results in runs.values() for result in results))


def beside(options, node, count, cores):
    def busy():
        return trial.run(options.paced, node, cores, users=BUSY_USERS, think_min=THINK_MS[0], think_max=THINK_MS[1], ramp=500,
                         warmup=1, seconds=ROUND_SECONDS)
    if not count:
        return busy()
    with trial.idle(options.paced, node, count, cores):
        wait_for_all(node, count)
        result = busy()
        still = node.metrics().gauge("http_server_connections")
        if still < count:
            raise NotMeasured(f"{still:,} of {count:,} idle connections were left at the end")
        return result


def wait_for_all(node, count):
    deadline = time.monotonic() + COMING_MOST
    while (there := node.metrics().gauge("http_server_connections")) < count:
        if time.monotonic() > deadline:
            raise NotMeasured(f"{there:,} of {count:,} idle connections are open")
        time.sleep(0.2)


def median(results, percentile):
    return statistics.median(result["intended_ms"]["all"][percentile] for result in results)


def idle_row(count, results, alone):
    return [f"{count:,}", rate(statistics.median(result["rate"] for result in results)), ms(median(results, "p50")),
            ms(median(results, "p99")), f"{median(results, 'p99') / alone:.2f} x" if count else "",
            sum(map(trial.failed, results)), f"{statistics.median(result['cores']['server'] for result in results):.2f}"]
