# SPDX-License-Identifier: MIT
"""The database under the service: commits, the pool, locks, full and broken disks, plans, migrations."""
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness import (BINARY, CATEGORIES, LAB, PATIENCE, Closed, Lab, assert_no_report, assert_problem, environment,
                     process_state, sanad, wait_for)

TABLES = [f"{category}_certificates" for category in CATEGORIES]


def pool(server):
    return server.metrics()["pool"]


def count(server):
    return server.rows("SELECT value FROM counter")[0]["value"]


def notes(server):
    return server.rows("SELECT count(*) AS n FROM notes")[0]["n"]


class Background:
    """A request under way on a connection of its own."""

    def __init__(self, server, method, target, headers=None):
        self.wire = server.connect()
        fields = "".join(f"{name}: {value}\r\n" for name, value in {"Host": "x", **(headers or {})}.items())
        self.wire.send(f"{method} {target} HTTP/1.1\r\n{fields}\r\n".encode())

    def answer(self):
        with self.wire:
            return self.wire.response()


# -- commits ---------------------------------------------------------------------------------------------------------

class Writers:
    """Writers that post until told to stop, and count what was promised to them."""

    def __init__(self, server, number):
        self.server = server
        self.number = number
        self.promised = 0
        self.refused = []
        self.lock = threading.Lock()

    def one(self, posts):
        with self.server.connect() as wire:
            for _ in range(posts):
                try:
                    answer = wire.request("POST", "/count")
                except Closed:
                    return
                with self.lock:
                    if answer.status == 200:
                        self.promised += 1
                    else:
                        self.refused.append(answer)

    def run(self, posts):
        with ThreadPoolExecutor(self.number) as crowd:
            list(crowd.map(lambda _: self.one(posts), range(self.number)))
        return self


def kill_all(server):
    """The master first, so that nobody is replaced; then every worker."""
    victims = [server.process.pid, *server.workers()]
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    server.process.wait(PATIENCE)
    wait_for(lambda: all(process_state(pid) in ("", "Z") for pid in victims), "their end")


def test_commit__every_promise_is_kept_through_a_kill(lab):
    server = lab(MAX_WORKERS="4")
    writers = Writers(server, 50).run(60)
    assert not writers.refused, writers.refused[:3]
    assert writers.promised == 50 * 60
    seen = pool(server)
    assert 0 < seen["group_commits"] < seen["grouped_transactions"] <= writers.promised
    kill_all(server)
    assert (count(server), notes(server)) == (writers.promised, writers.promised)
    assert server.rows("PRAGMA integrity_check")[0]["integrity_check"] == "ok"


def test_commit__a_kill_in_the_middle_loses_no_promise(lab):
    server = lab(MAX_WORKERS="4")
    writers = Writers(server, 20)
    crowd = threading.Thread(target=writers.run, args=(10_000,))
    crowd.start()
    wait_for(lambda: writers.promised > 200, "some writes")
    kill_all(server)
    crowd.join(PATIENCE)
    stored = count(server)
    assert stored == notes(server), "half a transaction was stored"
    assert writers.promised <= stored <= writers.promised + writers.number
    server.start()
    assert server.get("/count").json()["value"] == stored
    assert server.request("POST", "/count").json()["value"] == stored + 1


def test_commit__a_conflict_undoes_its_own_part_only(lab):
    server = lab(MAX_WORKERS="4")
    assert server.request("POST", "/count", {"X-Request-Id": "taken"}).status == 200

    def one(i):
        with server.connect() as wire:
            return [wire.request("POST", "/count", {"X-Request-Id": "taken"} if (i + turn) % 3 == 0 else None).status
                    for turn in range(15)]
    with ThreadPoolExecutor(20) as crowd:
        statuses = [status for each in crowd.map(one, range(20)) for status in each]
    assert set(statuses) == {200, 409}
    assert statuses.count(409) == sum((i + turn) % 3 == 0 for i in range(20) for turn in range(15))
    assert count(server) == notes(server) == 1 + statuses.count(200)


def test_commit__the_same_id_at_once_is_stored_once(lab):
    server = lab(MAX_WORKERS="4")
    for turn in range(5):
        with ThreadPoolExecutor(16) as crowd:
            answers = list(crowd.map(lambda _: server.request("POST", "/count", {"X-Request-Id": f"once-{turn}"}),
                                     range(16)))
        assert sorted(a.status for a in answers) == [200] + [409] * 15
        assert_problem(next(a for a in answers if a.status == 409), 409)
    assert count(server) == notes(server) == 5


# -- the pool ----------------------------------------------------------------------------------------------------------

TINY = {"MAX_WORKERS": "1", "DB_POOL_SIZE": "1", "DB_MAX_OVERFLOW": "0", "DB_POOL_TIMEOUT": "1"}


def test_pool__exhausted_says_so_with_numbers_and_recovers(lab):
    server = lab(**TINY)
    holder = Background(server, "GET", "/hold?ms=4000")
    wait_for(lambda: pool(server)["used"] == 1, "the connection to be held")
    readers = [Background(server, "GET", "/count/now") for _ in range(5)]
    writers = [Background(server, "POST", "/count") for _ in range(5)]
    wait_for(lambda: pool(server)["waiting"] >= 10, "ten who wait, readers and writers")
    wait_for(lambda: pool(server)["oldest_wait_ms"] > 0, "the time they wait")
    for answer in [each.answer() for each in readers + writers]:
        told = assert_problem(answer, 503)
        assert answer.header("Retry-After") == "1"
        numbers = dict(re.findall(r"(\w+)=(\d+)", told["detail"]))
        assert (numbers["size"], numbers["overflow"], numbers["active"]) == ("1", "0", "1")
        assert "waiting" in numbers and "oldest_wait_ms" in numbers
    assert holder.answer().status == 200
    assert pool(server)["timeouts"] >= 10      # the service's own look at the database waits in line, too
    assert server.request("POST", "/count").json()["value"] == 1
    assert server.get("/count/now").json()["value"] == 1
    seen = pool(server)
    assert (seen["used"], seen["waiting"], seen["size"], seen["max"]) == (0, 0, 1, 1)


def test_pool__waits_in_order_for_what_comes_back(lab):
    server = lab(**{**TINY, "DB_POOL_TIMEOUT": "30"})
    holder = Background(server, "GET", "/hold?ms=500")
    wait_for(lambda: pool(server)["used"] == 1, "the connection to be held")
    waiting = [Background(server, "GET", "/count/now") for _ in range(20)]
    assert holder.answer().status == 200
    assert [each.answer().json() for each in waiting] == [{"value": 0}] * 20


def test_pool__overflow_is_opened_for_a_rush(lab):
    server = lab(MAX_WORKERS="1", DB_POOL_SIZE="1", DB_MAX_OVERFLOW="3")
    holder = Background(server, "GET", "/hold?ms=1500")
    wait_for(lambda: pool(server)["used"] == 1, "the connection to be held")
    assert [server.get("/count/now").status for _ in range(5)] == [200] * 5
    assert pool(server)["overflow"] >= 1
    assert server.metrics()["overflow"] >= 1
    assert holder.answer().status == 200


def test_pool__health_and_cached_answers_need_no_connection(lab):
    server = lab(**TINY)
    assert server.get("/count").status == 200
    holder = Background(server, "GET", "/hold?ms=1500")
    wait_for(lambda: pool(server)["used"] == 1, "the connection to be held")
    assert server.get("/health").status == 200
    assert server.get("/count").status == 200
    assert holder.answer().status == 200


def test_pool__a_connection_held_for_long_is_reported_by_name(lab):
    server = lab(MAX_WORKERS="1", DB_POOL_LEAK_SECONDS="1")
    holder = Background(server, "GET", "/hold?ms=3500", {"X-Request-Id": "who-holds-it"})

    def told():
        return [line for line in server.log().splitlines() if "held for long" in line]
    wait_for(told, "the report")
    assert holder.answer().status == 200
    assert len(told()) == 1, "once is enough"
    assert "route=/hold" in told()[0] and "request_id=who-holds-it" in told()[0] and "statement=counter_add" in told()[0]
    assert pool(server)["leaks"] == 1


def test_pool__a_client_that_leaves_gives_its_connection_back_clean(lab):
    server = lab(**{**TINY, "DB_POOL_TIMEOUT": "30"})
    for _ in range(3):
        holder = Background(server, "GET", "/hold?ms=60000")
        wait_for(lambda: pool(server)["used"] == 1, "the connection to be held")
        waiting = Background(server, "POST", "/count")
        wait_for(lambda: pool(server)["waiting"] >= 1, "a writer in line")
        holder.wire.close()
        assert waiting.answer().status == 200
        wait_for(lambda: pool(server)["used"] == 0, "nothing to be held")
    assert count(server) == 3, "what the one who left had written was stored"
    assert pool(server)["waiting"] == 0


def test_pool__who_leaves_the_line_is_forgotten(lab):
    server = lab(**{**TINY, "DB_POOL_TIMEOUT": "30"})
    holder = Background(server, "GET", "/hold?ms=2000")
    wait_for(lambda: pool(server)["used"] == 1, "the connection to be held")
    leaving = [Background(server, *what) for what in (("POST", "/count"), ("GET", "/count/now")) * 5]
    wait_for(lambda: pool(server)["waiting"] >= 10, "ten in line")
    for each in leaving:
        each.wire.close()
    wait_for(lambda: pool(server)["waiting"] == 0, "the line to be empty")
    assert holder.answer().status == 200
    assert server.request("POST", "/count").json()["value"] == 1


def test_slow_query__is_told_with_its_name_and_request(serve, database):
    server = serve(data=True, MAX_WORKERS="1", SLOW_QUERY_MS="1", CACHE_ENABLED="False")
    with sqlite3.connect(server.db_path, timeout=PATIENCE) as db:
        db.execute("WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 60000) "
                   "INSERT INTO spa (code, name, city, created_at) SELECT 'X' || i, 'Spa ' || i, 'Nowhere', 0 FROM n")
    assert server.get("/api/spas?skip=55000&limit=5", {"X-Request-Id": "slow-one"}).status == 200
    line = wait_for(lambda: [each for each in server.log().splitlines() if "slow query" in each and "slow-one" in each],
                    "the line")[0]
    assert "statement=spas_active" in line and "route=/api/spas" in line and re.search(r"ms=\d+ rows=6", line)
    assert "Nowhere" not in line and "SELECT" not in line


def test_statements__are_timed_under_their_names(serve):
    server = serve(MAX_WORKERS="1", CACHE_ENABLED="False")
    for path in ("templates", "templates?category=id_card", "templates/1", "templates/by-category/id_card", "public",
                 "public?category=id_card"):
        assert server.get(f"/api/certificates/{path}").status == 200
    assert server.get("/api/spas?city=Pune").status == 200
    names = {each["name"] for each in server.metrics()["statements"]}
    assert {"templates_all", "templates_of_category", "template_by_id", "templates_by_variant", "certificate_public_first",
            "spas_in_city"} <= names
    assert any(name.startswith("id_card_public") for name in names), names


# -- locks of others -----------------------------------------------------------------------------------------------------

def test_lock__of_another_process_stops_writers_not_readers(lab):
    server = lab(MAX_WORKERS="2")
    other = sqlite3.connect(server.db_path, isolation_level=None, timeout=PATIENCE)
    other.execute("BEGIN IMMEDIATE")
    writers = [Background(server, "POST", "/count") for _ in range(8)]
    assert [server.get("/count/now").status for _ in range(20)] == [200] * 20
    other.execute("UPDATE counter SET value = value + 100")
    other.execute("COMMIT")
    assert [each.answer().status for each in writers] == [200] * 8
    assert count(server) == 108
    other.close()


def test_lock__held_for_too_long_is_503_and_then_over(lab):
    server = lab(MAX_WORKERS="1", DB_POOL_TIMEOUT="1")
    other = sqlite3.connect(server.db_path, isolation_level=None, timeout=PATIENCE)
    other.execute("BEGIN IMMEDIATE")
    writers = [Background(server, "POST", "/count") for _ in range(3)]
    for each in writers:
        answer = each.answer()
        assert_problem(answer, 503)
        assert int(answer.header("Retry-After")) >= 1
    assert server.get("/count/now").status == 200
    other.execute("ROLLBACK")
    other.close()
    assert server.request("POST", "/count").json()["value"] == 1


# -- disks ----------------------------------------------------------------------------------------------------------------

@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0777", "tmpfs", str(folder)],
                          capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"this user may not mount: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill_up(path):
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096) == 4096:
                pass
        except OSError:
            pass


def test_disk__full_is_507_and_reads_go_on(lab, small_disk):
    server = lab(MAX_WORKERS="2", DB_PATH=small_disk / "lab.db")
    server.db_path = small_disk / "lab.db"
    stored = Writers(server, 4).run(3).promised
    assert stored == 12
    fill_up(small_disk / "filler")

    def refused():
        answer = server.request("POST", "/count")
        nonlocal stored
        stored += answer.status == 200      # the log's file has room left at first
        return answer if answer.status != 200 else None
    assert_problem(wait_for(refused, "the disk to be full"), 507)
    crowd = Writers(server, 10).run(5)
    for answer in crowd.refused:
        assert_problem(answer, 507)
    assert crowd.refused
    stored += crowd.promised
    assert [server.get("/count/now").json()["value"] for _ in range(10)] == [stored] * 10
    assert server.get("/count").json()["value"] == stored
    assert server.get("/health/ready").status == 200

    (small_disk / "filler").unlink()
    assert server.request("POST", "/count").json()["value"] == stored + 1
    assert Writers(server, 10).run(5).promised == 50
    assert count(server) == notes(server) == stored + 51
    server.stop()


def test_disk__full_at_the_first_start(tmp_path, small_disk):
    fill_up(small_disk / "filler")
    settings = {"DB_PATH": small_disk / "sanad.db"}
    for command in ("migrate", "demo"):
        done = sanad(tmp_path, command, settings=settings, status=1)
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert done.stderr.startswith(f"sanad {command}: "), done.stderr
    (small_disk / "filler").unlink()
    sanad(tmp_path, "migrate", settings=settings)
    assert [name for name in os.listdir(small_disk) if not name.startswith("sanad.db")] == []


def test_disk__full_in_the_middle_of_demo_stores_nothing(tmp_path, small_disk):
    settings = {"DB_PATH": small_disk / "sanad.db"}
    sanad(tmp_path, "migrate", settings=settings)
    done = sanad(tmp_path, "demo", "--certificates", "20000", settings=settings, status=1)
    assert done.stderr.strip().splitlines()[-1] == "sanad demo: the disk is full; nothing was stored"
    with sqlite3.connect(small_disk / "sanad.db") as db:
        assert [db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("spa", "users", *TABLES)] == [0] * 10
    db.close()
    sanad(tmp_path, "demo", "--certificates", "10", settings=settings)


def test_disk__read_only_serves_what_there_is(database, tmp_path, small_disk, serve):
    """A database on a medium that cannot be written to: refused with the reason, not served half."""
    shutil.copy(database, small_disk / "sanad.db")
    done = subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = sanad(tmp_path, "serve", settings={"DB_PATH": small_disk / "sanad.db", "PORT": "0"}, status=1)
    told = [line for line in done.stderr.splitlines() if " error " in line]
    assert len(told) == 1 and "sanad.db" in told[0], done.stderr


@pytest.fixture
def unprivileged():
    """The lab as a user whom permissions stop: nobody, when the tests are root's."""
    folder = Path(tempfile.mkdtemp(prefix="sanad-nobody-"))
    folder.chmod(0o777)
    prefix = []
    if os.geteuid() == 0:
        prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    program = shutil.copy(LAB, folder / "lab")

    class Unprivileged(Lab):
        command = [*prefix, str(program)]
    server = Unprivileged(folder, {"MAX_WORKERS": "1"})
    yield server
    if server.process is not None and server.process.poll() is None:
        server.stop()
    shutil.rmtree(folder)


def test_disk__a_file_that_is_read_only_refuses_writes_and_serves_reads(unprivileged):
    server = unprivileged.start()
    assert server.request("POST", "/count").status == 200
    server.stop()
    server.db_path.chmod(0o444)
    server.start()
    for _ in range(3):
        assert_problem(server.request("POST", "/count"), 503)
        assert server.get("/count/now").json()["value"] == 1
    for path in server.folder.glob(f"{server.db_path.name}*"):     # its log has the database's mode
        path.chmod(0o644)
    wait_for(lambda: server.request("POST", "/count").status == 200, "writes to work without a restart")
    assert server.get("/count/now").json()["value"] == count(server) == notes(server) == 2


# -- plans ---------------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def demo(database, tmp_path_factory):
    path = tmp_path_factory.mktemp("plans") / "copy.db"
    shutil.copy(database, path)
    db = sqlite3.connect(path)
    yield db
    db.close()


AFTER = "is_public = 1 AND generated_at <= ? AND (generated_at < ? OR id > ?)"

PLANS = {
    "idx_cert_templates_public_active": [
        "SELECT * FROM certificate_templates WHERE is_public = 1 AND is_active = 1 ORDER BY category, id LIMIT 1000",
        "SELECT * FROM certificate_templates WHERE is_public = 1 AND is_active = 1 AND category = 'a' ORDER BY id LIMIT 9"],
    "idx_cert_templates_variant": [
        "SELECT * FROM certificate_templates WHERE is_public = 1 AND is_active = 1 AND category = 'a' "
        "AND template_variant = 'b' ORDER BY id LIMIT 1000"],
    "idx_spa_therapist_public": [
        f"SELECT * FROM spa_therapist_certificates WHERE {AFTER} ORDER BY generated_at DESC, id LIMIT 20",
        "SELECT * FROM spa_therapist_certificates WHERE is_public = 1 ORDER BY generated_at DESC, id LIMIT 20 OFFSET 5",
        f"SELECT 0, generated_at, id FROM spa_therapist_certificates WHERE {AFTER} ORDER BY generated_at DESC, id LIMIT 9"],
    "idx_spa_therapist_user": [
        "SELECT * FROM spa_therapist_certificates WHERE created_by = 3 ORDER BY generated_at DESC, id LIMIT 20"],
    "idx_candidate_forms_spa": ["SELECT * FROM candidate_forms WHERE spa_id = 3 ORDER BY created_at DESC, id LIMIT 20"],
    "idx_candidate_forms_user": [
        "SELECT * FROM candidate_forms WHERE created_by = 3 ORDER BY created_at DESC, id LIMIT 20"],
    "idx_users_email": ["SELECT * FROM users WHERE email = 'a@example.com'"],
    "idx_users_username": ["SELECT * FROM users WHERE username = 'a'"],
    "idx_spa_code": ["SELECT * FROM spa WHERE code = 'a'"],
    "idx_spa_active": ["SELECT * FROM spa WHERE is_active = 1 ORDER BY name, id LIMIT 20 OFFSET 0"],
    "idx_spa_city": ["SELECT * FROM spa WHERE is_active = 1 AND city = 'a' ORDER BY name, id LIMIT 20 OFFSET 0"],
    **{f"idx_{category}_public": [
        f"SELECT * FROM {category}_certificates WHERE {AFTER} ORDER BY generated_at DESC, id LIMIT 20"]
       for category in CATEGORIES if category != "spa_therapist"},
}


@pytest.mark.parametrize("index", PLANS)
def test_plan__each_list_is_read_from_its_index_without_a_sort(demo, index):
    for sql in PLANS[index]:
        plan = " | ".join(row[3] for row in demo.execute("EXPLAIN QUERY PLAN " + sql, (2**62,) * sql.count("?")))
        assert index in plan and plan.startswith("SEARCH"), f"{sql}\n{plan}"
        assert "TEMP B-TREE" not in plan and "SCAN" not in plan, f"{sql}\n{plan}"


def steps(db, sql, args):
    """Instructions that SQLite's machine runs for a statement."""
    taken = 0

    def step():
        nonlocal taken
        taken += 1
        return 0
    db.set_progress_handler(step, 1)
    rows = db.execute(sql, args).fetchall()
    db.set_progress_handler(None, 1)
    return rows, taken


def test_plan__a_late_page_costs_what_the_first_does(demo):
    page = f"SELECT id, generated_at FROM spa_therapist_certificates WHERE {AFTER} ORDER BY generated_at DESC, id LIMIT 5"
    after, costs = (2**62, 2**62, 2**62), []
    while True:
        rows, taken = steps(demo, page, after)
        if len(rows) < 5:
            break
        costs.append(taken)
        after = (rows[-1][1], rows[-1][1], rows[-1][0])
    assert len(costs) > 20
    assert max(costs) <= 1.5 * costs[0], costs


def test_plan__pages_by_cursor_hold_every_row_once(server):
    seen, target = [], "/api/certificates/public?limit=100"
    with server.connect() as wire:
        while target:
            answer = wire.get(target)
            seen += [row["code"] for row in answer.json()]
            target = answer.links().get("next")
    expected = sum(server.rows(f"SELECT count(*) AS n FROM {table} WHERE is_public = 1")[0]["n"] for table in TABLES)
    assert len(seen) == len(set(seen)) == expected


# -- migrations ------------------------------------------------------------------------------------------------------------

def edit(path, sql, *arguments):
    with sqlite3.connect(path) as db:
        db.execute(sql, arguments)
    db.close()


def test_migrate__several_at_once_apply_each_once(tmp_path):
    settings = {"DB_PATH": tmp_path / "sanad.db"}
    for turn in range(3):
        running = [subprocess.Popen([str(BINARY), "migrate"], cwd=tmp_path, env=environment(settings), text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(6)]
        out = ""
        for each in running:
            told, errors = each.communicate(timeout=PATIENCE)
            assert each.returncode == 0, errors
            assert_no_report(errors)
            out += told
        applied = re.findall(r"^applied (\d+)", out, re.MULTILINE)
        with sqlite3.connect(settings["DB_PATH"]) as db:
            numbers = [row[0] for row in db.execute("SELECT number FROM schema_migrations ORDER BY number")]
        db.close()
        assert sorted(int(number) for number in applied) == numbers == list(range(1, len(numbers) + 1))
        settings["DB_PATH"].unlink()
        for suffix in ("-wal", "-shm"):
            (tmp_path / f"sanad.db{suffix}").unlink(missing_ok=True)


def test_migrate__again_does_nothing(database, tmp_path):
    shutil.copy(database, tmp_path / "sanad.db")
    done = sanad(tmp_path, "migrate", settings={"DB_PATH": "sanad.db"})
    assert done.stdout == "the database is up to date\n" and done.stderr == ""


REFUSED = {     # what is wrong with the table of migrations, and what is said of it
    "changed": ("UPDATE schema_migrations SET sha256 = replace(sha256, substr(sha256, 1, 1), 'z') WHERE number = 1",
                r"migration 1 \(initial\) was changed after it was applied"),
    "from a newer program": ("INSERT INTO schema_migrations SELECT 900, 'later', sha256, applied_at "
                             "FROM schema_migrations WHERE number = 1",
                             r"migration 900 \(later\) was applied to this database, but this program does not have it"),
    "not there, a later one is": ("UPDATE schema_migrations SET number = 900, name = 'later' WHERE number = 1",
                                  r"migration 900 \(later\)"),
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_migrate__refuses_what_it_does_not_know_with_its_number(database, tmp_path, wrong):
    sql, sentence = REFUSED[wrong]
    path = tmp_path / "sanad.db"
    shutil.copy(database, path)
    edit(path, sql)
    for command in (["migrate"], ["migrate", "--status"], ["demo"], ["serve"]):
        done = sanad(tmp_path, *command, settings={"DB_PATH": path, "PORT": "0"}, status=1)
        told = [line for line in done.stderr.splitlines() if re.search(sentence, line)]
        assert len(told) == 1, done.stderr
    done = sanad(tmp_path, "check", settings={"DB_PATH": path, "PORT": "0"}, status=1)
    assert re.search(r"^BAD +migrations +" + sentence, done.stdout, re.MULTILINE), done.stdout


def test_migrate__status_changes_nothing(tmp_path):
    done = sanad(tmp_path, "migrate", "--status", settings={"DB_PATH": "data/sanad.db"})
    assert re.fullmatch(r"(\d+) of \1 migrations pending\n", done.stdout)
    assert os.listdir(tmp_path) == []
