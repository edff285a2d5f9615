#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures the server beside its peers, in one run, on one machine.

    bench/run.py [--quick] [--only PART] [--out FILE] [--binary build/sanad]

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
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from kit import (CERTIFICATES, CONNECTIONS, CORES, PUBLIC, ROOT, SEED_STACK, TEMPLATES, NotMeasured, Process, answers, children,
                 compared, free_port, medians, mib, ms, rate, rss_kib, wrk)
from on_mariadb import OnMariaDB, database, load_peer
from on_redis import UNLIMITED, OnRedis

IDLE_CONNECTIONS = 10000
DEEP_PAGE, DEEP_LIMIT = 5000, 8        # 40,000 of the demo's public certificates lie before it


# -- what is measured ----------------------------------------------------------------------------------------------

class Bench:
    def __init__(self, options, folder):
        self.binary = Path(options.binary).resolve()
        self.folder = Path(folder)
        self.seconds = 2 if options.quick else 10
        self.rounds = 1 if options.quick else 5
        self.database = self.folder / "bench.db"
        self.tables = []
        self.files = {}                   # by name: what is written beside the report

    def log(self, text):
        print(f"bench: {text}", file=sys.stderr, flush=True)

    # -- ours --------------------------------------------------------------------

    def environment(self, **settings):
        plain = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(self.folder), "LANG": "C.UTF-8"}
        ours = {"HOST": "127.0.0.1", "DB_PATH": self.database, "ACCESS_LOG": "", "RATE_LIMIT_ENABLED": "False",
                "WORKER_CONNECTIONS": 20000, "LIMIT_CONCURRENCY": 20000, "KEEP_ALIVE": 600, "WEB_DIR": ROOT / "web"}
        return {**plain, **{key: str(value) for key, value in {**ours, **settings}.items()}}

    def fill(self, **settings):
        """Makes the demo's certificates; how long it took."""
        self.log(f"demo data: {CERTIFICATES:,} certificates")
        started = time.monotonic()
        for command in (["migrate"], ["demo", "--certificates", str(CERTIFICATES), "--seed", "1"]):
            subprocess.run([self.binary, *command], cwd=self.folder, env=self.environment(**settings), check=True, timeout=300,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
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

    def nginx(self, body, cores=None, workers=1, http_lines="", server_lines=""):
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
                {http_lines}
                server {{ listen 127.0.0.1:{port} backlog=2048 reuseport; root {folder}/www; {server_lines} }}
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

    def wrk(self, port, path, cores=None, connections=CONNECTIONS):
        return wrk(port, path, self.seconds, cores, connections)

    def interleaved(self, contenders, path, load_cores=None):
        """{name: medians}; every contender, a port, gets its turn in each round."""
        return self.rotated({name: (port, path) for name, port in contenders.items()}, load_cores)

    def rotated(self, contenders, load_cores=None):
        """The same, each with a port and a path of its own, or as a function of the seconds that tells what wrk() does."""
        def measure(contender, seconds):
            return contender(seconds) if callable(contender) else wrk(*contender, seconds, load_cores)

        runs = {name: [] for name in contenders}
        for contender in contenders.values():
            measure(contender, 1)         # warm
        for _ in range(self.rounds):
            for name, contender in contenders.items():
                runs[name].append(measure(contender, self.seconds))
        return {name: medians(of) for name, of in runs.items()}

    def table(self, title, head, rows, note=""):
        self.tables.append((title, head, rows, note))

    def attempt(self, title, measure, *arguments):
        self.log(title)
        try:
            measure(title, *arguments)
        except NotMeasured as why:
            self.table(title, [], [], f"not measured: {why}")
        except (OSError, subprocess.SubprocessError, http.client.HTTPException, AssertionError) as why:
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
            rows, told = [], {}
            for connections in (CONNECTIONS, 1):
                runs = {name: [] for name in pages}
                for _ in range(self.rounds):
                    for name, path in pages.items():
                        runs[name].append(self.wrk(ours.port, path, load_cores, connections))
                for name, of in runs.items():
                    told[name] = medians(of)
                    rows.append([name, connections, rate(told[name]["rate"]), ms(told[name]["p50"]), ms(told[name]["p99"]),
                                 f"{told['page 1']['rate'] / told[name]['rate']:.2f} x", told[name]["errors"]])
        self.table(title, ["page", "connections", "requests/s", "p50", "p99", "cost against page 1", "errors"], rows,
                   f"{DEEP_LIMIT} rows a page of {CERTIFICATES:,} certificates, SQLite, CACHE_ENABLED=False. Goal: below 1.2 x.")

    # -- the limiter ---------------------------------------------------------------

    def addresses(self):
        """A script for wrk: as many addresses as connections, in turn."""
        script = self.folder / "addresses.lua"
        script.write_text("""
            local requests, at = {}, 0
            function init()
                for i = 1, 500 do
                    local address = string.format("10.%d.%d.%d", i % 7, math.floor(i / 250), i % 250)
                    requests[i] = wrk.format("GET", nil, { ["X-Forwarded-For"] = address })
                end
            end
            function request()
                at = at % #requests + 1
                return requests[at]
            end""")
        return script

    def limiter(self, title, server_cores, load_cores):
        """To addresses of which none ever asks too often."""
        script = self.addresses()
        zone = "limit_req_zone $http_x_forwarded_for zone=a:10m rate=100000r/s;"
        with self.ours(server_cores, 1) as off, self.ours(server_cores, 1, TRUSTED_PROXIES="127.0.0.1") as proxied, \
                self.ours(server_cores, 1, **UNLIMITED) as limited:
            _, body = whole_response(off.port, TEMPLATES)
            with self.nginx(body, server_cores) as free, \
                    self.nginx(body, server_cores, 1, zone, "limit_req zone=a burst=100000 nodelay;") as throttled:
                ports = {"sanad, limiter on": limited.port, "sanad, limiter off": off.port,
                         "sanad, limiter off, address looked up": proxied.port,
                         "nginx, limit_req on": throttled.port, "nginx, limit_req off": free.port}
                told = self.rotated({name: lambda seconds, port=port: wrk(port, TEMPLATES, seconds, load_cores, script=script)
                                     for name, port in ports.items()})
        self.table(title, ["server", "requests/s", "p50", "p99", "limiter on against it", "errors"],
                   compared(told, "sanad, limiter on"),
                   "The cached templates list to 500 addresses in turn, told by X-Forwarded-For. Goal: at most 3 % slower than off.")

    # -- 3: the Python stack -----------------------------------------------------

    def seed_stack(self, title, workers):
        with self.peer() as peer, self.ours(None, workers) as ours, \
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

    @contextmanager
    def peer(self):
        """The Python stack with its own rows."""
        with database(self.folder) as db:
            load_peer(db)
            with self.gunicorn(db.socket) as server:
                yield server

    def gunicorn(self, socket_path):
        check = subprocess.run(["/usr/bin/python3", "-c", "import fastapi, uvicorn, gunicorn, sqlalchemy, aiomysql, uvloop, httptools"],
                               capture_output=True, text=True)
        if check.returncode:
            raise NotMeasured(check.stderr.strip().splitlines()[-1])
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

    # -- all of it ---------------------------------------------------------------

    def run(self):
        demo_seconds = self.fill()
        if len(CORES) > 1:
            one, others = CORES[:1], CORES[1:]
            self.attempt(f"Cached templates list, {CONNECTIONS} connections, server on one core", self.cached, one, others, 1)
            self.attempt(f"Cached templates list, {CONNECTIONS} connections, all {len(CORES)} cores shared with the load",
                         self.cached, None, None, len(CORES))
            self.attempt("Uncached public page from SQLite, server on one core", self.uncached, one, others)
            self.attempt("Limiter, server on one core", self.limiter, one, others)
        else:
            self.table("Throughput", [], [], "not measured: server and load need a core each, and there is one")
        self.attempt(f"Against the Python stack, {CONNECTIONS} connections, all {len(CORES)} cores", self.seed_stack, len(CORES))
        self.mariadb()
        self.on_redis()
        self.attempt("Memory", self.memory)
        self.attempt("Start", self.start, demo_seconds)

    def mariadb(self):
        self.attempt("MariaDB", lambda _: OnMariaDB(self).measure())

    def on_redis(self):
        self.attempt("Redis", lambda _: OnRedis(self).measure())

    def limits(self):
        self.fill()
        self.attempt("Limiter, server on one core", self.limiter, CORES[:1], CORES[1:])

    def redis(self):
        self.fill()
        self.on_redis()


PARTS = {"mariadb": Bench.mariadb, "limits": Bench.limits, "redis": Bench.redis}


# -- small things --------------------------------------------------------------------------------------------------

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
    parser.add_argument("--only", choices=PARTS, help="just this part; written only where --out says")
    parser.add_argument("--out", help="file to write (bench/RESULTS.md, unless --quick or --only)")
    parser.add_argument("--binary", default=ROOT / "build" / "sanad")
    options = parser.parse_args()
    for program in ("wrk", "taskset"):
        if not shutil.which(program):
            sys.exit(f"bench: {program} is not installed: scripts/bootstrap bench")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="sanad-bench-") as folder:
        bench = Bench(options, folder)
        PARTS.get(options.only, Bench.run)(bench)
    text = report(bench)
    print(text)
    out = options.out or (None if options.quick or options.only else ROOT / "bench" / "RESULTS.md")
    if out:
        Path(out).write_text(text)
        for name, content in bench.files.items():
            (Path(out).parent / name).write_text(content)


if __name__ == "__main__":
    main()
