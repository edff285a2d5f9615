# SPDX-License-Identifier: MIT
"""Writes that the database refuses or undoes, under two hundred clients: what the clients hear, and what is stored."""
import contextlib
import subprocess
import threading
import time

import pytest

import harness
from crowd import Crowd
from harness import assert_problem, wait_for
from mariadb import CLIENT, ENVIRONMENT, USER, MariaDB, available
from service import LAB, make_lab_database, settings_of

pytestmark = pytest.mark.skipif(not available(), reason="there is no mariadb-server")

READ = "GET /count/now"              # the lab's: a row by its key, never from the cache
SETTINGS = {"KEEP_ALIVE": 60, "DB_POOL_SIZE": 20, "DB_MAX_OVERFLOW": 40}


# -- what the lab stores -----------------------------------------------------------------------------------------------

# A transfer takes 1 from one account, gives it to the other, and notes the request's id: all or nothing.
THERE, BACK = "POST /transfer?from=1&to=2", "POST /transfer?from=2&to=1"


def assert_accounts(mariadb, there, back):
    """The accounts and notes are those of so many transfers."""
    balances = {row["id"]: int(row["balance"]) for row in mariadb.rows("SELECT id, balance FROM accounts", LAB)}
    assert balances == {"1": back - there, "2": there - back}
    assert mariadb.value("SELECT COUNT(*) FROM notes", LAB) == str(there + back)


def deadlocks(mariadb):
    return int(mariadb.rows("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")[0]["Value"])


# -- transactions in each other's way ----------------------------------------------------------------------------------

def meet(server, mariadb, once=0):
    """Clients that read, and now and then transfer in either direction, until there were enough deadlocks."""
    there, back = (f"{request}&once={once}" for request in (THERE, BACK))
    before = deadlocks(mariadb)
    with Crowd(server.port, there, *[READ] * 7, back, *[READ] * 7) as crowd:
        wait_for(lambda: deadlocks(mariadb) >= before + 10, "deadlocks")
    assert crowd.whole()
    assert set(crowd.statuses("GET")) == {200}
    assert_accounts(mariadb, crowd.statuses(there)[200], crowd.statuses(back)[200])
    return crowd, deadlocks(mariadb) - before


def test_deadlock__of_what_may_be_repeated_is_nobodys_business(lab, mariadb):
    server = lab(**SETTINGS)
    crowd, met = meet(server, mariadb)
    assert set(crowd.statuses()) == {200}
    told = server.get("/metrics?format=prometheus").body.decode()
    assert f"\ndb_client_repeated_transactions_total {met}\n" in told


def test_deadlock__of_what_may_not_be_repeated_is_503_and_leaves_nothing(lab, mariadb):
    server = lab(**SETTINGS)
    crowd, met = meet(server, mariadb, once=1)
    assert set(crowd.statuses()) == {200, 503}
    assert crowd.statuses("POST")[503] == met, "each deadlock costs one request"


def test_deadlock__in_a_storm_hardly_anybody_is_refused(lab, mariadb):
    """All do nothing else than be in each other's way, in sixty transactions at a time."""
    server = lab(**SETTINGS)
    with Crowd(server.port, THERE, BACK, pause=0.02) as crowd:
        crowd.answered(2000)
    assert crowd.whole()
    assert set(crowd.statuses()) <= {200, 503}
    assert crowd.statuses()[503] <= crowd.sent / 20
    assert_accounts(mariadb, crowd.statuses(THERE)[200], crowd.statuses(BACK)[200])


def test_lock_wait__times_out(lab, mariadb):
    """Somebody locks a row for long. What may be repeated gets through in the end; the rest is 503, and is undone."""
    server = lab(**SETTINGS)
    once, patient = Requests(server, THERE + "&once=1", 5), Requests(server, THERE, 5)
    half_done = Requests(server, BACK + "&once=1", 1)
    with Crowd(server.port, READ) as crowd, Locker(mariadb, "UPDATE accounts SET balance = balance WHERE id = 1"):
        for requests in (once, half_done, patient):
            requests.start()
        for answer in once.answers() + half_done.answers():
            assert_problem(answer, 503)
    assert [answer.status for answer in patient.answers()] == [200] * 5
    assert crowd.whole()
    assert set(crowd.statuses()) == {200}
    assert_accounts(mariadb, there=5, back=0)


class Requests:
    """The same request several times at once, each on a connection of its own."""

    def __init__(self, server, request, count):
        method, target = request.split(" ", 1)
        self._answers = []
        self._threads = [threading.Thread(target=lambda: self._answers.append(server.request(method, target)))
                         for _ in range(count)]

    def start(self):
        for thread in self._threads:
            thread.start()

    def answers(self):
        for thread in self._threads:
            thread.join()
        assert len(self._answers) == len(self._threads)
        return self._answers


class Locker:
    """A transaction of somebody else's, open while the block lasts."""

    def __init__(self, mariadb, statement):
        self._client = subprocess.Popen(
            [CLIENT, "--no-defaults", f"--socket={mariadb.socket}", "--user=root", "--unbuffered", "--batch",
             "--skip-column-names", LAB],
            env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._say(f"START TRANSACTION; {statement}; SELECT 'done';")
        assert self._client.stdout.readline() == "done\n"

    def _say(self, text):
        self._client.stdin.write(text + "\n")
        self._client.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._client.communicate("ROLLBACK;\n", timeout=harness.PATIENCE)


# -- no room left ------------------------------------------------------------------------------------------------------

# A row that fits into a page, many times: of one with pages of its own, MariaDB 10.11 dies when it undoes it on a full
# disk ("Out of disk space in rollback").
PILE = "POST /pile?bytes=3500"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 128 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128m", "tmpfs", str(folder)],
                          capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"this user may not mount: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill_up(path):
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 65536)


def test_disk_full__writes_are_507_and_reads_go_on(small_disk, tmp_path):
    """Fails: what has no room. All else goes on, and when there is room again, nothing fails."""
    db = MariaDB(small_disk, innodb_log_file_size="8M")
    db.log_path = tmp_path / "mariadbd.log"
    with db:
        make_lab_database(db)
        server = harness.Lab(tmp_path / "lab", settings_of(db, DB_NAME=LAB, **SETTINGS))
        with server, Crowd(server.port, READ, PILE) as crowd:
            crowd.answered(500)
            fill_up(small_disk / "filler")
            wait_for(lambda: crowd.statuses(PILE)[507] >= 500, "the disk to be full")
            full = time.monotonic()
            crowd.answered(1000)
            crowd.rest()
            (small_disk / "filler").unlink()
            room = time.monotonic()
            crowd.wake()
            crowd.answered(1000)
        stored = int(db.value("SELECT COUNT(*) FROM piles", LAB))
    assert crowd.whole()
    assert set(crowd.statuses(READ)) == {200}
    assert set(crowd.statuses(PILE)) == {200, 507}
    assert set(crowd.statuses(PILE, since=full, until=room)) == {507}
    assert set(crowd.statuses(since=room)) == {200}
    assert stored == crowd.statuses(PILE)[200]


# -- a server that may only be read ------------------------------------------------------------------------------------

NOTE = "POST /note"                  # notes the request's id


def test_read_only__the_only_server_is_still_read(lab, mariadb):
    """Fails: each write, as long as it lasts and until the service has noticed that it is over. No read at any time."""
    server = lab(**SETTINGS)
    with Crowd(server.port, READ, NOTE) as crowd:
        crowd.answered(1000)
        mariadb.sql("SET GLOBAL read_only = 1")
        closed = time.monotonic()
        try:
            time.sleep(3)                # longer than a connection is used that may not write
            crowd.answered(1000)
        finally:
            opened = time.monotonic()
            mariadb.sql("SET GLOBAL read_only = 0")
        calm = crowd.well()
        crowd.answered(1000)
    assert crowd.whole()
    assert set(crowd.statuses(READ)) == {200}
    assert set(crowd.statuses(NOTE)) == {200, 503}
    assert set(crowd.statuses(NOTE, since=closed, until=opened)) == {503}
    assert set(crowd.statuses(since=calm)) == {200}
    assert {"cannot store anything" in problem.json()["detail"] for problem in crowd.problems()} == {True}
    assert mariadb.value("SELECT COUNT(*) FROM notes", LAB) == str(crowd.statuses(NOTE)[200])


def test_read_only__is_not_circumvented_by_rights(lab, mariadb):
    """A user whom the server would let write nonetheless does not: another server may be the one to write to."""
    mariadb.sql(f"GRANT ALL ON *.* TO {USER}@'%'")
    try:
        server = lab(**SETTINGS)
        mariadb.sql("SET GLOBAL read_only = 1")
        wait_for(lambda: server.request("POST", "/note").status == 503, "the service to notice")
        assert [server.request("POST", "/note").status for _ in range(5)] == [503] * 5
        assert server.get("/count/now").status == 200
    finally:
        mariadb.sql("SET GLOBAL read_only = 0;"
                    f"REVOKE ALL ON *.* FROM {USER}@'%'")
    wait_for(lambda: server.request("POST", "/note").status == 200, "the service to notice")
