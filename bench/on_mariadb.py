# SPDX-License-Identifier: MIT
"""The part that needs a database server: one mariadbd as deploy/my.cnf sets it up, the same certificates for all.

First the budget: requests a second with ever more connections. Then the service, the Python stack and mysqlslap,
which sends the bare statement of a page over and over, with as many connections as were best.
"""
import http.client
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from kit import (CERTIFICATES, CONNECTIONS, CORES, PUBLIC, ROOT, SEED_STACK, NotMeasured, compared, medians, ms, rate, wrk)

sys.path.insert(0, str(ROOT / "tests" / "faults"))
import mariadb  # noqa: E402

ONE_TABLE = PUBLIC + "?category=spa_therapist&limit=20"
MERGED = PUBLIC + "?limit=20"
BUDGETS = (4, 8, 16, 32, 64, 150)
GOOD_ENOUGH = 0.95                # of the highest rate: fewer connections that reach it are better
SPECIFIED = {"DB_POOL_SIZE": 50, "DB_MAX_OVERFLOW": 100}
SECRET = "the benchmarks' own secret, of no use elsewhere"

# The peer's own rows are replaced: it reads what ours reads.
PEER_ROWS = """
    TRUNCATE peer.spa_therapist_certificates;
    INSERT INTO peer.spa_therapist_certificates (id, template_id, created_by, candidate_name, course_name, start_date,
        end_date, certificate_data, is_public, generated_at)
    SELECT id, template_id, created_by, candidate_name, course_name, start_date, end_date, certificate_data, is_public,
        FROM_UNIXTIME(generated_at DIV 1000) FROM spa_therapist_certificates;
    ANALYZE TABLE peer.spa_therapist_certificates, spa_therapist_certificates;
"""


@contextmanager
def database(folder):
    """A server with room for the 600 connections that the Python stack may open (four workers, 50 + 100 each)."""
    if not mariadb.available():
        raise NotMeasured("mariadb-server is not installed")
    folder = tempfile.mkdtemp(dir=folder)
    with mariadb.MariaDB(folder, max_connections=800, max_user_connections=0, innodb_buffer_pool_size="512M") as db:
        yield db


def load_peer(db):
    """Makes the Python stack's schema, if it is here."""
    if not (SEED_STACK / "schema.sql").exists():
        raise NotMeasured(f"{SEED_STACK} is not there")
    db.load(SEED_STACK / "schema.sql", database=None)


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        raise NotMeasured(f"{path} answered {answer.status}")
    return body


class OnMariaDB:
    def __init__(self, bench):
        self.bench = bench
        self.db = None
        self.best = None

    def measure(self):
        with database(self.bench.folder) as self.db:
            seconds = self.bench.fill(**self.settings())
            self.bench.table("MariaDB: demo data", ["what", "took"],
                             [[f"migrate and make {CERTIFICATES:,} demo certificates", f"{seconds:.2f} s"]])
            self.bench.attempt(f"MariaDB: how many connections, {CONNECTIONS} clients, all {len(CORES)} cores", self.budgets)
            self.bench.attempt(f"MariaDB: against its peers, {CONNECTIONS} clients, all {len(CORES)} cores", self.peers)

    # -- ours --------------------------------------------------------------------

    def settings(self, **more):
        return {**self.db.settings(by_socket=True), "SECRET_KEY": SECRET, "CACHE_ENABLED": "False", **more}

    def ours(self, connections):
        pool = SPECIFIED if connections == sum(SPECIFIED.values()) else {"DB_POOL_SIZE": connections, "DB_MAX_OVERFLOW": 0}
        return self.bench.ours(None, len(CORES), **self.settings(**pool))

    # -- how many connections ----------------------------------------------------

    def budgets(self, title):
        runs = {total: [] for total in BUDGETS}
        for _ in range(self.bench.rounds):
            for total, of in runs.items():
                with self.ours(total) as server:
                    wrk(server.port, ONE_TABLE, 1)         # warm
                    of.append(wrk(server.port, ONE_TABLE, self.bench.seconds))
        told = {total: medians(of) for total, of in runs.items()}
        most = max(of["rate"] for of in told.values())
        self.best = min(total for total, of in told.items() if of["rate"] >= GOOD_ENOUGH * most)
        self.bench.files["budget.svg"] = budget_svg(told, self.best)
        self.bench.table(title, ["connections", "requests/s", "p50", "p99", "of the best rate", "errors"],
                         [[total, rate(of["rate"]), ms(of["p50"]), ms(of["p99"]), f"{of['rate'] / most:.2f}", of["errors"]]
                          for total, of in told.items()],
                         f"20 rows of one table, uncached. Best: {self.best} connections for the node, the fewest with at least "
                         f"{GOOD_ENOUGH:.0%} of the highest rate. 150 is the specification's 50 + 100. Drawn in budget.svg.")

    # -- against its peers -------------------------------------------------------

    def peers(self, title):
        best = self.best or sum(SPECIFIED.values())
        with self.python() as python, self.ours(sum(SPECIFIED.values())) as usual, self.ours(best) as fewer:
            rows = []
            for what, path, peer in (("public page of 20 from one table", ONE_TABLE, python),
                                     ("public page of 20, all categories merged", MERGED, python),
                                     ("one certificate by its code", self.certificate(usual.port), None)):
                statement = self.statement(usual.port, path)
                contenders = {"sanad": (usual.port, path), f"sanad, {best} connections": (fewer.port, path)}
                if peer:
                    contenders["python"] = (peer.port, MERGED)
                contenders["mysqlslap"] = lambda seconds, sql=statement: self.slap(sql, best, seconds)
                rows += [[what, *row] for row in compared(self.bench.rotated(contenders), "sanad")]
        self.bench.table(title, ["request", "server", "requests/s", "p50", "p99", "sanad against it", "errors"], rows,
                         "The Python stack's page reads one table, whatever is asked; it has no page for one code. mysqlslap sends "
                         f"the bare statement of the page over {best} connections. All through the server's Unix socket. "
                         "Goals: 10 x the Python stack, 0.60 x mysqlslap.")

    @contextmanager
    def python(self):
        load_peer(self.db)
        self.db.sql(PEER_ROWS)
        with self.bench.gunicorn(self.db.socket) as server:
            yield server

    def certificate(self, port):
        return "/api/certificates/" + re.search(rb'"code":"([^"]+)"', get(port, ONE_TABLE)).group(1).decode()

    def statement(self, port, path):
        """The statement behind a page, with its arguments in place, as the server's general log has it."""
        self.db.sql("SET GLOBAL log_output = 'TABLE', GLOBAL general_log = ON; TRUNCATE mysql.general_log", database=None)
        get(port, path)
        self.db.sql("SET GLOBAL general_log = OFF", database=None)
        lines = self.db.sql("SELECT argument FROM mysql.general_log WHERE command_type = 'Execute' "
                            "AND argument LIKE '%\\_certificates%'", database=None)
        if len(lines) != 2:
            raise NotMeasured(f"{path} took {max(len(lines) - 1, 0)} statements instead of one")
        return lines[1]

    def slap(self, sql, concurrency, seconds):
        """As wrk() tells it: statements a second. A short run finds how many it takes."""
        rate_found = self.slap_once(sql, concurrency, 100 * concurrency)
        return {"rate": self.slap_once(sql, concurrency, int(rate_found * seconds)), "p50": float("nan"), "p99": float("nan"),
                "errors": 0}

    def slap_once(self, sql, concurrency, count):
        file = Path(self.bench.folder) / "statement.sql"
        file.write_text(sql)
        done = subprocess.run(["mariadb-slap", "--no-defaults", f"--socket={self.db.socket}", "--user=root", "--no-drop",
                               "--create-schema=sanad", "--delimiter=;", f"--query={file}", f"--concurrency={concurrency}",
                               f"--number-of-queries={count}"], capture_output=True, text=True, timeout=300)
        found = re.search(r"Average number of seconds to run all queries: ([\d.]+)", done.stdout)
        if not found or float(found.group(1)) == 0:
            raise NotMeasured(f"mariadb-slap: {done.stderr.strip()[-200:]}")
        return count / float(found.group(1))


# -- the picture ---------------------------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 360, 70, 70, 50, 50


def budget_svg(told, best):
    """Requests a second as bars, 99th percentiles as a line, each with its own scale."""
    high = {key: 1.1 * max(of[key] for of in told.values()) for key in ("rate", "p99")}
    step = (WIDTH - LEFT - RIGHT) / len(told)

    def x(index):
        return LEFT + (index + 0.5) * step

    def y(key, value):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / high[key]

    def text(at_x, at_y, words, more=""):
        return f'<text x="{at_x:.0f}" y="{at_y:.0f}" {more}>{words}</text>'

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
             'font-size="12" text-anchor="middle">',
             '<rect width="100%" height="100%" fill="#fff"/>',
             text(WIDTH / 2, 22, f"MariaDB, {CONNECTIONS} clients, uncached page of 20", 'font-size="15"'),
             text(WIDTH / 2, HEIGHT - 12, "connections of the node"),
             text(LEFT, 40, "requests/s", 'fill="#2a6f97"'), text(WIDTH - RIGHT, 40, "p99", 'fill="#c1121f"')]
    for index, (total, of) in enumerate(told.items()):
        top, bottom = y("rate", of["rate"]), HEIGHT - BOTTOM
        parts += [f'<rect x="{x(index) - step * 0.32:.0f}" y="{top:.0f}" width="{step * 0.64:.0f}" height="{bottom - top:.0f}" '
                  f'fill="{"#7fbfdb" if total == best else "#d3eaf4"}"/>',
                  text(x(index), bottom + 18, total, 'font-weight="bold"' if total == best else ""),
                  text(x(index), bottom - 8, rate(of["rate"]))]
    points = [(x(index), y("p99", of["p99"]), of["p99"]) for index, of in enumerate(told.values())]
    line = " ".join(f"{at_x:.0f},{at_y:.0f}" for at_x, at_y, _ in points)
    parts.append(f'<polyline points="{line}" fill="none" stroke="#c1121f" stroke-width="2"/>')
    outlined = 'fill="#c1121f" stroke="#fff" stroke-width="3" paint-order="stroke"'
    parts += [text(at_x, at_y - 8, ms(value), outlined) for at_x, at_y, value in points] + ["</svg>"]
    return "\n".join(parts) + "\n"
