# SPDX-License-Identifier: MIT
"""Slow statements on a server: the plan that is told names the key used, and pt-query-digest reads SLOW_LOG."""
import contextlib
import json
import re
import shutil
import subprocess
import threading

import pytest

from harness import PATIENCE, environment, wait_for
from mariadb import DATABASE, available
from service import LAB

pytestmark = pytest.mark.skipif(not available(), reason="there is no mariadb-server")

DIGEST = shutil.which("pt-query-digest")
SLOW_MS = 100


def waiting(mariadb, table):
    """Milliseconds that each statement has waited for the table."""
    return [float(row["ms"]) for row in mariadb.rows(
        "SELECT time_ms AS ms FROM information_schema.processlist "
        f"WHERE state LIKE 'Waiting for table%' AND info LIKE '%{table}%'")]


@contextlib.contextmanager
def slow(mariadb, table, statements, database=DATABASE):
    """Within the block, each statement on the table waits until so many have waited long enough to be slow."""
    ours = "SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'"
    lock = threading.Thread(target=mariadb.refusal, args=(f"LOCK TABLES {table} WRITE; SELECT SLEEP(120)", database))
    lock.start()
    try:
        wait_for(lambda: mariadb.rows(ours), "the table to be locked")

        def enough():
            found = waiting(mariadb, table)
            return len(found) >= statements and min(found) > 2 * SLOW_MS

        def release():
            try:
                wait_for(enough, f"{statements} statements to wait for {table}")
            finally:
                mariadb.sql(f"KILL {mariadb.value(ours)}")

        releaser = threading.Thread(target=release)
        releaser.start()
        yield
        releaser.join()
    finally:
        lock.join()


def slow_lines(server, statement):
    return [line for line in server.log().splitlines() if f"slow query statement={statement} " in line]


def ask(server, target, times):
    """So many requests at once; asserts that all are answered well."""
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(server.get(target))) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [200] * times
    return answers


def digest(path):
    """What pt-query-digest makes of a file: {fingerprint: (times, seconds)}."""
    done = subprocess.run([DIGEST, "--no-version-check", "--limit", "100%", "--output", "json", str(path)],
                          env=environment({"HOME": path.parent}), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return {found["fingerprint"]: (found["query_count"], float(found["metrics"]["Query_time"]["sum"]))
            for found in json.loads(done.stdout)["classes"]}


# -- the plan ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("target, table, plan", [
    ("/api/spas?limit=3", "spa", r"spa type=\w+ key=(idx_spa\w+|PRIMARY) rows=\d+"),
    ("/api/certificates/public?category=id_card&limit=3", "id_card_certificates",
     r"id_card_certificates type=\w+ key=idx_id_card_public rows=\d+"),
])
def test_debug__the_plan_names_table_and_key(serve, mariadb, target, table, plan):
    server = serve(CACHE_ENABLED=False, DEBUG=True, SLOW_QUERY_MS=SLOW_MS, MAX_WORKERS=1)
    with slow(mariadb, table, 1):
        answer, = ask(server, target, 1)
    line, = [line for line in server.log().splitlines() if "slow query" in line]
    assert re.search(rf'rows=[1-4] changes=0 route=\S+ request_id=\S+ plan="{plan}', line), line
    database = float(re.search(r"db;dur=([0-9.]+)", answer.header("Server-Timing")).group(1))
    assert database >= SLOW_MS
    assert server.metrics()["invalid"] == 0
    assert server.get(target).json() == answer.json()


def test_debug__a_plan_that_cannot_be_had_harms_nobody(lab, mariadb):
    """The connection is killed while its slow statement runs: there is none to ask for the plan."""
    server = lab(DEBUG=True, SLOW_QUERY_MS=SLOW_MS, MAX_WORKERS=1)
    nap = threading.Thread(target=server.get, args=("/nap?ms=60000",))
    nap.start()
    ours = "SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT COUNT%SLEEP%' AND time_ms > 300"
    wait_for(lambda: mariadb.rows(ours), "the slow statement")
    mariadb.sql(f"KILL {mariadb.value(ours)}")
    nap.join()
    line, = slow_lines(server, "nap")
    assert "plan=" not in line and " error=E_" in line
    assert server.get("/count/now").status == 200
    assert server.get("/nap?ms=200").status == 200
    assert "plan=\"counter type=" in slow_lines(server, "nap")[1]


# -- MySQL's form --------------------------------------------------------------------------------------------------------

@pytest.mark.skipif(not DIGEST, reason="there is no pt-query-digest (Debian's percona-toolkit)")
def test_slow_log__is_read_by_pt_query_digest(lab, mariadb, tmp_path):
    path = tmp_path / "slow.log"
    server = lab(SLOW_QUERY_MS=SLOW_MS, SLOW_LOG=path, MAX_WORKERS=2)
    ask(server, "/nap?ms=250", 4)
    ask(server, "/nap?ms=0", 3)
    with slow(mariadb, "counter", 3, LAB):
        ask(server, "/count/now", 3)
    found = digest(path)
    assert {text.strip(): times for text, (times, _) in found.items()} == {
        "select count(*) from counter where sleep(?) = ?": 4,
        "select value from counter where id = ?": 3,
    }
    assert all(seconds >= times * SLOW_MS / 1000 for times, seconds in found.values())
