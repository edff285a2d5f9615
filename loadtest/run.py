#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Loads a node as the specification says, and beyond.

    loadtest/run.py load [--users 500] [--seconds 60]    make loadtest
    loadtest/run.py capacity                             make capacity
    loadtest/run.py idle                                 make loadtest-idle

Everything runs on this machine, in a temporary folder, on free ports, and is stopped by its id. The result is shown, and
kept in loadtest/RESULTS.md, a section for each test. Exit status 1 when a request failed that must not.
"""
import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from capacity import capacity
from idle import idle
from node import NotMeasured, ROOT, allow_files, open_files, say
from report import RESULTS
from with_locust import load

TESTS = {"load": (load, "locust"), "capacity": (capacity, "taskset"), "idle": (idle, "taskset")}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("test", choices=TESTS)
    parser.add_argument("--users", type=int, default=500, help="of Locust (500)")
    parser.add_argument("--spawn-rate", type=int, default=0, help="of them a second (50, or a tenth of them)")
    parser.add_argument("--seconds", type=int, default=60, help="of Locust, when all have come (60)")
    parser.add_argument("--workers", type=int, default=4, help="of the server under Locust (4)")
    parser.add_argument("--minutes", type=float, default=7, help="capacity: of the whole search (7)")
    parser.add_argument("--databases", default="mariadb,sqlite", help="capacity: mariadb,sqlite")
    parser.add_argument("--idle", type=int, default=10000, help="idle: connections that do nothing (10,000)")
    parser.add_argument("--rounds", type=int, default=5, help="idle: without and with them (5)")
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "sanad")
    parser.add_argument("--out", type=Path, default=RESULTS, help="file whose section is rewritten (loadtest/RESULTS.md)")
    options = parser.parse_args()
    options.binary = options.binary.resolve()
    options.paced = options.binary.parent / "loadtest" / "paced"
    return options


def main():
    options = arguments()
    test, program = TESTS[options.test]
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if not shutil.which(program):
        sys.exit(f"loadtest: {program} is not installed: scripts/bootstrap loadtest")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))      # and so ends what was started
    allow_files()
    say(f"open files allowed a process: {open_files():,}")
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="sanad-load-") as folder:
            status = test(options, folder)
    except NotMeasured as reason:
        sys.exit(f"loadtest: not measured: {reason}")
    say(f"took {time.monotonic() - started:.0f} s; kept in {options.out}")
    return status


if __name__ == "__main__":
    sys.exit(main())
