#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures the server beside its peers, in one run, on one machine.

    bench/run.py [--quick] [--out FILE] [--binary build/sanad]

Every comparison is interleaved (A B C, A B C, ...) and told as medians of the
rounds and as ratios: absolute numbers say little about another machine. Whatever
is started runs in a temporary folder on a free port, and is stopped by its id.
What cannot be measured here is told with its reason, not left out.
"""
import argparse
import datetime
import http.client
import os
import platform
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SEED_STACK = ROOT.parent / "shared" / "peers" / "seed-stack"

TEMPLATES = "/api/certificates/templates"
PUBLIC = "/api/certificates/public"
CONNECTIONS = 500
IDLE_CONNECTIONS = 10000
CERTIFICATES = 100000
DEEP_PAGE, DEEP_LIMIT = 5000, 8        # 40,000 of the demo's public certificates lie before it
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


# -- what is measured ----------------------------------------------------------------------------------------------

class Bench:
    def __init__(self, options, folder):
        self.binary = Path(options.binary).resolve()
        self.folder = Path(folder)
        self.seconds = 2 if options.quick else 10
        self.rounds = 1 if options.quick else 5
        self.database = self.folder / "bench.db"
        self.tables = []

    def log(self, text):
        print(f"bench: {text}", file=sys.stderr, flush=True)

    # -- ours --------------------------------------------------------------------

    def environment(self, **settings):
        plain = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(self.folder), "LANG": "C.UTF-8"}
        ours = {"HOST": "127.0.0.1", "DB_PATH": self.database, "ACCESS_LOG": "", "RATE_LIMIT_ENABLED": "False",
                "WORKER_CONNECTIONS": 20000, "LIMIT_CONCURRENCY": 20000, "KEEP_ALIVE": 600, "WEB_DIR": ROOT / "web"}
        return {**plain, **{key: str(value) for key, value in {**ours, **settings}.items()}}

    def make_database(self):
        self.log(f"demo data: {CERTIFICATES:,} certificates")
        started = time.monotonic()
        for command in (["migrate"], ["demo", "--certificates", str(CERTIFICATES), "--seed", "1"]):
            subprocess.run([self.binary, *command], cwd=self.folder, env=self.environment(), check=True, timeout=300,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        return time.monotonic() - started

    def ours(self, cores=None, workers=1, **settings):
        port = free_port()
        process = Process([self.binary, "serve"], self.folder,
                          self.environment(PORT=port, MAX_WORKERS=workers, **settings), cores)
        process.port = port
        try:
            return process.wait_until(lambda: answers(port, "/health"), "sanad")
        except BaseException:
            process.__exit__()
            raise

    # -- peers -------------------------------------------------------------------

    def nginx(self, body, cores=None, workers=1):
        port, folder = free_port(), Path(tempfile.mkdtemp(dir=self.folder))
        served = folder / "www" / TEMPLATES.lstrip("/")
        served.parent.mkdir(parents=True)
        served.write_bytes(body)
        folder.chmod(0o755)
        (folder / "nginx.conf").write_text(f"""
            daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes {workers};
            worker_rlimit_nofile 20000;
            events {{ worker_connections 10000; }}
            http {{
                access_log off; sendfile on; tcp_nopush on; tcp_nodelay on;
                keepalive_requests 1000000000; keepalive_timeout 600; default_type application/json;
                open_file_cache max=100 inactive=600s; open_file_cache_valid 600s;
                client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
                uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
                server {{ listen 127.0.0.1:{port} backlog=2048 reuseport; root {folder}/www; }}
            }}""")
        process = Process(["nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"] +
                          (["-g", "user root;"] if os.geteuid() == 0 else []), folder, cores=cores)
        process.port = port
        try:
            return process.wait_until(lambda: answers(port, TEMPLATES), "nginx")
        except BaseException:
            process.__exit__()
            raise

    def bare_loop(self, response, cores=None, workers=1):
        program = self.binary.parent / "bench" / "epoll_loop"
        port, file = free_port(), self.folder / "response.bin"
        file.write_bytes(response)
        process = Process([program, port, file, workers], self.folder, cores=cores)
        process.port = port
        try:
            return process.wait_until(lambda: answers(port), "the bare loop")
        except BaseException:
            process.__exit__()
            raise

    # -- load --------------------------------------------------------------------

    def wrk(self, port, path, cores=None, connections=CONNECTIONS, seconds=None):
        """requests a second, median and 99th percentile latency in ms, and what went wrong."""
        cores = cores or CORES
        seconds = seconds or self.seconds
        command = ["taskset", "-c", ",".join(map(str, cores)), "wrk", f"-t{min(len(cores), connections)}", f"-c{connections}",
                   f"-d{seconds}s", "--timeout", "10s", "--latency", f"http://127.0.0.1:{port}{path}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise NotMeasured(f"wrk: {done.stderr.strip()[-200:]}")
        return parse_wrk(done.stdout)

    def interleaved(self, contenders, path, load_cores=None, connections=CONNECTIONS):
        """{name: medians}; every contender gets its turn in each round."""
        runs = {name: [] for name in contenders}
        for port in contenders.values():
            self.wrk(port, path, load_cores, connections, 1)         # warm
        for _ in range(self.rounds):
            for name, port in contenders.items():
                runs[name].append(self.wrk(port, path, load_cores, connections))
        return {name: {key: statistics.median(run[key] for run in of) for key in ("rate", "p50", "p99")}
                | {"errors": sum(run["errors"] for run in of)} for name, of in runs.items()}

    def table(self, title, head, rows, note=""):
        self.tables.append((title, head, rows, note))

    def attempt(self, title, measure, *arguments):
        self.log(title)
        try:
            measure(title, *arguments)
        except NotMeasured as why:
            self.table(title, [], [], f"not measured: {why}")
        except (OSError, subprocess.SubprocessError, http.client.HTTPException) as why:
            self.table(title, [], [], f"not measured: {type(why).__name__}: {why}")

    # -- 1: cached ---------------------------------------------------------------

    def cached(self, title, server_cores, load_cores, workers):
        with self.ours(server_cores, workers) as ours, \
                self.ours(server_cores, workers, ACCESS_LOG=self.folder / "access.log") as logged:
            head, body = whole_response(ours.port, TEMPLATES)
            with self.nginx(body, server_cores, workers) as nginx, \
                    self.bare_loop(head + body, server_cores, workers) as bare:
                names = {"sanad": ours.port, "sanad, access log on": logged.port, "nginx, the same bytes as a file": nginx.port,
                         "bare epoll loop, the same bytes": bare.port}
                told = self.interleaved(names, TEMPLATES, load_cores)
        self.table(title, ["server", "requests/s", "p50", "p99", "sanad against it", "errors"], compared(told, "sanad"),
                   f"{len(body):,} bytes of JSON. Goals: 1.2 x nginx, 0.9 x the bare loop (one core).")

    # -- 2: uncached -------------------------------------------------------------

    def uncached(self, title, server_cores, load_cores):
        first = f"{PUBLIC}?limit={DEEP_LIMIT}"
        with self.ours(server_cores, 1, CACHE_ENABLED="False") as ours:
            number, deep = walk(ours.port, first, DEEP_PAGE)
            pages = {"page 1": first, f"page {number:,} by cursor": deep}
            rows, medians = [], {}
            for connections in (CONNECTIONS, 1):
                runs = {name: [] for name in pages}
                for _ in range(self.rounds):
                    for name, path in pages.items():
                        runs[name].append(self.wrk(ours.port, path, load_cores, connections))
                for name, of in runs.items():
                    medians[name] = {key: statistics.median(run[key] for run in of) for key in ("rate", "p50", "p99")}
                    base = medians["page 1"]
                    rows.append([name, connections, rate(medians[name]["rate"]), ms(medians[name]["p50"]), ms(medians[name]["p99"]),
                                 f"{base['rate'] / medians[name]['rate']:.2f} x", sum(run["errors"] for run in of)])
        self.table(title, ["page", "connections", "requests/s", "p50", "p99", "cost against page 1", "errors"], rows,
                   f"{DEEP_LIMIT} rows a page of {CERTIFICATES:,} certificates, SQLite, CACHE_ENABLED=False. Goal: below 1.2 x.")

    # -- 3: the Python stack -----------------------------------------------------

    def seed_stack(self, title, workers):
        if not (SEED_STACK / "main.py").exists():
            raise NotMeasured(f"{SEED_STACK} is not there")
        check = subprocess.run(["/usr/bin/python3", "-c", "import fastapi, uvicorn, gunicorn, sqlalchemy, aiomysql, uvloop, httptools"],
                               capture_output=True, text=True)
        if check.returncode:
            raise NotMeasured(check.stderr.strip().splitlines()[-1])
        with self.mariadb() as socket_path, self.gunicorn(socket_path) as peer, self.ours(None, workers) as ours, \
                self.ours(None, workers, CACHE_ENABLED="False") as uncached:
            rows = []
            for what, path, port in (("templates list", TEMPLATES, ours.port),
                                     ("templates list, our cache off", TEMPLATES, uncached.port),
                                     ("public page of 20, our cache off", PUBLIC + "?limit=20", uncached.port),
                                     ("public page of 20 from one table, our cache off",
                                      PUBLIC + "?category=spa_therapist&limit=20", uncached.port)):
                told = self.interleaved({"sanad": port, "python": peer.port}, path)
                rows += [[what, *row] for row in compared(told, "sanad")]
        self.table(title, ["request", "server", "requests/s", "p50", "p99", "sanad against it", "errors"], rows,
                   "FastAPI on Gunicorn with 4 Uvicorn workers, async SQLAlchemy (50+100), MariaDB on the same machine; "
                   "its public page reads one table, ours merges eight unless a category is given. "
                   "Goals: 50 x the templates list, 25 x the public page.")

    def mariadb(self):
        return MariaDB(self)

    def gunicorn(self, socket_path):
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        shutil.copy(SEED_STACK / "main.py", folder)
        port = free_port()
        env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1",
               "PEER_DB": f"mysql+aiomysql://root@localhost/peer?unix_socket={socket_path}"}
        process = Process(["gunicorn", "main:app", "-k", "uvicorn.workers.UvicornWorker", "-w", "4", "-b", f"127.0.0.1:{port}",
                           "--backlog", "2048", "--keep-alive", "600", "--timeout", "120", "--log-level", "warning"], folder, env)
        process.port = port
        try:
            return process.wait_until(lambda: answers(port, TEMPLATES), "gunicorn")
        except BaseException:
            process.__exit__()
            raise

    # -- 4: memory ---------------------------------------------------------------

    def worker_of(self, server):
        """The one worker, after it has answered each list once."""
        workers = children(server.popen.pid)
        if len(workers) != 1:
            raise NotMeasured(f"the master has {len(workers)} workers instead of one")
        for path in (TEMPLATES, PUBLIC):
            answers(server.port, path)
        return workers[0]

    def memory(self, title):
        with self.ours(None, 1) as ours:
            worker = self.worker_of(ours)
            rows = [["just started", 0, mib(rss_kib(worker)), ""]]
            self.wrk(ours.port, TEMPLATES)
            self.wrk(ours.port, PUBLIC)
            rows.append(["after a load of both lists", CONNECTIONS, mib(rss_kib(worker)), ""])
        with self.ours(None, 1) as ours:       # a fresh one: no memory of a load to reuse
            worker = self.worker_of(ours)
            before = rss_kib(worker)
            held = idle_connections(ours.port, IDLE_CONNECTIONS)
            time.sleep(1)
            after = rss_kib(worker)
            tried = held[::100]
            alive = sum(1 for connection in tried if still_open(connection))
            rows.append(["idle connections, each after an answer", f"{len(held):,}", mib(after),
                         f"{(after - before) * 1024 / len(held):,.0f} bytes a connection; {alive} of {len(tried)} tried still answer"])
            for connection in held:
                connection.close()
        self.table(title, ["state", "connections", "RSS of the worker", ""], rows,
                   "One worker, its own memory (not the kernel's socket buffers). "
                   "Goals: below 20 MB at 500 connections, below 6 KiB an idle connection.")

    # -- 5: start ----------------------------------------------------------------

    def start(self, title, demo_seconds):
        times = []
        for _ in range(5 if self.rounds == 1 else 20):
            port = free_port()
            started = time.perf_counter()
            with Process([self.binary, "serve"], self.folder, self.environment(PORT=port, MAX_WORKERS=len(CORES))) as process:
                while not first_answer(port):
                    if process.popen.poll() is not None or time.perf_counter() - started > 30:
                        raise NotMeasured(f"no answer: {process.log.read_text(errors='replace')[-300:]}")
                times.append((time.perf_counter() - started) * 1000)
        self.table(title, ["what", "median", "fastest", "slowest"],
                   [["exec to the first /health answer", ms(statistics.median(times)), ms(min(times)), ms(max(times))],
                    [f"migrate and make {CERTIFICATES:,} demo certificates", f"{demo_seconds:.2f} s", "", ""]],
                   f"{len(times)} starts with {len(CORES)} workers and {CERTIFICATES:,} certificates in the database. Goals: below 100 ms; below 5 s.")

    def run(self):
        demo_seconds = self.make_database()
        if len(CORES) > 1:
            one, others = CORES[:1], CORES[1:]
            self.attempt(f"Cached templates list, {CONNECTIONS} connections, server on one core", self.cached, one, others, 1)
            self.attempt(f"Cached templates list, {CONNECTIONS} connections, all {len(CORES)} cores shared with the load",
                         self.cached, None, None, len(CORES))
            self.attempt("Uncached public page from SQLite, server on one core", self.uncached, one, others)
        else:
            self.table("Throughput", [], [], "not measured: server and load need a core each, and there is one")
        self.attempt(f"Against the Python stack, {CONNECTIONS} connections, all {len(CORES)} cores", self.seed_stack, len(CORES))
        self.attempt("Memory", self.memory)
        self.attempt("Start", self.start, demo_seconds)


class MariaDB:
    """A database server of our own: temporary folder, Unix socket, no network."""

    def __init__(self, bench):
        self.bench = bench

    def __enter__(self):
        for program in ("mariadb-install-db", "mariadbd", "mariadb"):
            if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin"):
                raise NotMeasured(f"{program} is not installed")
        folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="sanad-db-"))     # a short path: sockets have a limit
        self.folder, self.socket = folder, folder / "sock"
        self.process = None
        user = ["--user=root"] if os.geteuid() == 0 else []
        try:
            subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={folder}/data", "--skip-test-db",
                            "--auth-root-authentication-method=normal", *user], check=True, timeout=START_LIMIT,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            os.environ["PATH"] += ":/usr/sbin"
            self.process = Process(["mariadbd", "--no-defaults", f"--datadir={folder}/data", f"--socket={self.socket}",
                                    f"--pid-file={folder}/pid", "--skip-networking", "--max-connections=800",
                                    "--innodb-buffer-pool-size=512M", "--innodb-flush-log-at-trx-commit=2", *user], folder)
            self.process.wait_until(self.socket.exists, "mariadbd")
            with (SEED_STACK / "schema.sql").open("rb") as schema:
                subprocess.run(["mariadb", "--no-defaults", f"--socket={self.socket}", "-u", "root"], stdin=schema, check=True,
                               timeout=START_LIMIT, stdout=subprocess.DEVNULL)
        except BaseException:
            self.__exit__()
            raise
        return self.socket

    def __exit__(self, *_):
        if self.process:
            self.process.__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)


# -- small things --------------------------------------------------------------------------------------------------

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


def compared(told, ours):
    return [[name, rate(of["rate"]), ms(of["p50"]), ms(of["p99"]),
             "" if name == ours else f"{told[ours]['rate'] / of['rate']:.2f} x" if of["rate"] else "-", of["errors"]]
            for name, of in told.items()]


def rate(value):
    return f"{value:,.0f}"


def ms(value):
    return f"{value:.2f} ms" if value < 100 else f"{value:,.0f} ms"


def mib(kib):
    return f"{kib / 1024:.1f} MiB"


def whole_response(port, path):
    """Head and body of a response, byte for byte, of a connection that stays open."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        data = b""
        while b"\r\n\r\n" not in data:
            data += receive(connection)
        head, body = data.split(b"\r\n\r\n", 1)
        length = int(re.search(rb"(?i)^content-length: *(\d+)", head, re.M).group(1))
        while len(body) < length:
            body += receive(connection)
    if b" 200 " not in head.split(b"\r\n")[0] + b" ":
        raise NotMeasured(f"{path} answered {head.splitlines()[0].decode()}")
    return head + b"\r\n\r\n", body


def receive(connection):
    data = connection.recv(65536)
    if not data:
        raise NotMeasured("the server closed the connection")
    return data


def walk(port, path, pages):
    """Follows the Link headers to that page, or the last full one: (its number, its path)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for number in range(1, pages + 1):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        following = re.search(r'<([^>]*)>;\s*rel="?next', answer.getheader("Link") or "")
        if answer.status != 200:
            raise NotMeasured(f"{path} answered {answer.status}")
        if number == pages or not following:
            connection.close()
            return number, path
        path = following.group(1)


def idle_connections(port, count):
    """So many connections that have each had an answer, from several loopback addresses."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count + 200:
        raise NotMeasured(f"{count:,} connections need as many open files; {soft:,} are allowed")
    request = f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    held = []
    for number in range(count):
        connection = socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(f"127.0.0.{2 + number // 2500}", 0))
        connection.sendall(request)
        receive(connection)
        held.append(connection)
    return held


def still_open(connection):
    try:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        return b" 200 " in connection.recv(65536)
    except OSError:
        return False


def first_answer(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return b" 200 " in connection.recv(4096)
    except OSError:
        time.sleep(0.0005)
        return False


def raise_file_limit():
    """As many open files as allowed; more, for root."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in ((65536, max(hard, 65536)), (hard, hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, wanted)
            return
        except (ValueError, OSError):
            continue


def output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=10).stdout.strip()
    except OSError:
        return ""


def processor():
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    return found.group(1) if found else platform.machine()


def report(bench):
    commit = output("git", "rev-parse", "--short=10", "HEAD") or "not committed"
    if output("git", "status", "--porcelain", "--", "src"):
        commit += ", with changes"
    lines = ["# Measured", "",
             "Written by `make bench`. Everything in a table comes from one run; medians of "
             f"{bench.rounds} interleaved round{'s' if bench.rounds > 1 else ''} of {bench.seconds} s with wrk.", "",
             "| | |", "|---|---|",
             f"| date | {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC |",
             f"| cores | {len(CORES)} ({processor()}) |",
             f"| kernel | {platform.system()} {platform.release()} |",
             f"| compiler | {output('gcc', '--version').splitlines()[0] if shutil.which('gcc') else 'unknown'} |",
             f"| commit | {commit} |"]
    for title, head, rows, note in bench.tables:
        lines += ["", f"## {title}"]
        if rows:
            lines += ["", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
            lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
        if note:
            lines += ["", note]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round of 2 s each; written only where --out says")
    parser.add_argument("--out", help="file to write (bench/RESULTS.md, unless --quick)")
    parser.add_argument("--binary", default=ROOT / "build" / "sanad")
    options = parser.parse_args()
    for program in ("wrk", "taskset"):
        if not shutil.which(program):
            sys.exit(f"bench: {program} is not installed: scripts/bootstrap bench")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="sanad-bench-") as folder:
        bench = Bench(options, folder)
        bench.run()
    text = report(bench)
    print(text)
    out = options.out or (None if options.quick else ROOT / "bench" / "RESULTS.md")
    if out:
        Path(out).write_text(text)


if __name__ == "__main__":
    main()
