# SPDX-License-Identifier: MIT
"""What every part of the benchmarks needs: processes that are started and stopped, wrk, and how numbers are told."""
import http.client
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SEED_STACK = ROOT.parent / "shared" / "peers" / "seed-stack"

TEMPLATES = "/api/certificates/templates"
PUBLIC = "/api/certificates/public"
CONNECTIONS = 500
CERTIFICATES = 100000
START_LIMIT = 120                 # seconds a peer has to come up
CORES = sorted(os.sched_getaffinity(0))


class NotMeasured(Exception):
    """Why something cannot be measured here."""


# -- processes -----------------------------------------------------------------------------------------------------

def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def children(pid):
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


class Process:
    """Something started for the measurement, in its own session; leaving the block ends it and its children."""

    def __init__(self, command, cwd, env=None, cores=None):
        if not shutil.which(str(command[0])):
            raise NotMeasured(f"{command[0]} is not installed")
        if cores:
            command = ["taskset", "-c", ",".join(map(str, cores)), *command]
        self.log = Path(cwd) / f"{Path(str(command[-1])).name[:20]}-{os.urandom(4).hex()}.log"
        self.popen = subprocess.Popen([str(part) for part in command], cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                                      stdout=self.log.open("wb"), stderr=subprocess.STDOUT, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        group = [self.popen.pid, *children(self.popen.pid)]
        self.popen.send_signal(signal.SIGTERM)
        try:
            self.popen.wait(20)
        except subprocess.TimeoutExpired:
            pass
        for pid in group:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.popen.wait()

    def wait_until(self, ready, what):
        deadline = time.monotonic() + START_LIMIT
        while not ready():
            if self.popen.poll() is not None:
                raise NotMeasured(f"{what} ended at once: {self.log.read_text(errors='replace')[-300:].strip()}")
            if time.monotonic() > deadline:
                raise NotMeasured(f"{what} was not ready after {START_LIMIT} s")
            time.sleep(0.02)
        return self


def answers(port, path="/"):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status == 200
    except (OSError, http.client.HTTPException):
        return False


def rss_kib(pid):
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(found.group(1)) if found else 0


# -- load ----------------------------------------------------------------------------------------------------------

UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60000.0}


def parse_wrk(text):
    def latency(percent):
        found = re.search(rf"^\s*{percent}%\s+([\d.]+)(us|ms|s|m)\s*$", text, re.M)
        return float(found.group(1)) * UNITS[found.group(2)] if found else float("nan")

    errors = sum(map(int, re.findall(r"(?:connect|read|write|timeout) (\d+)", text)))
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    found = re.search(r"Requests/sec:\s+([\d.]+)", text)
    return {"rate": float(found.group(1)) if found else 0.0, "p50": latency(50), "p99": latency(99),
            "errors": errors + (int(refused.group(1)) if refused else 0)}


def wrk(port, path, seconds, cores=None, connections=CONNECTIONS, script=None):
    """requests a second, median and 99th percentile latency in ms, and what went wrong."""
    cores = cores or CORES
    command = ["taskset", "-c", ",".join(map(str, cores)), "wrk", f"-t{min(len(cores), connections)}", f"-c{connections}",
               f"-d{seconds}s", "--timeout", "10s", "--latency", *(["-s", script] if script else []),
               f"http://127.0.0.1:{port}{path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise NotMeasured(f"wrk: {done.stderr.strip()[-200:]}")
    return parse_wrk(done.stdout)


def medians(runs):
    return {key: statistics.median(run[key] for run in runs) for key in ("rate", "p50", "p99")} | \
        {"errors": sum(run["errors"] for run in runs)}


# -- numbers -------------------------------------------------------------------------------------------------------

def compared(told, ours):
    return [[name, rate(of["rate"]), ms(of["p50"]), ms(of["p99"]),
             "" if name == ours else f"{told[ours]['rate'] / of['rate']:.2f} x" if of["rate"] else "-", of["errors"]]
            for name, of in told.items()]


def rate(value):
    return f"{value:,.0f}"


def ms(value):
    if value != value:      # not a number: not measured
        return "-"
    return f"{value:.2f} ms" if value < 100 else f"{value:,.0f} ms"


def mib(kib):
    return f"{kib / 1024:.1f} MiB"
