# SPDX-License-Identifier: MIT
"""`sanad backup`: one whole file of one moment, whoever writes meanwhile and whatever kills it; and back again."""
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

import pytest

import harness
from harness import sanad, wait_for
from mariadb import PASSWORD, USER, MariaDB, available
from service import settings_of

CERTIFICATES = 8_000
FIRST = 1_000_000                # ids of what the writers add: one more each time, in two tables at once
ADD = ("INSERT INTO hiring_forms (id, job_role, created_at) VALUES ({0}, 'Cook {0}', 0)",
       "INSERT INTO candidate_forms (id, candidate_name, phone_number, position_applied, created_at) "
       "VALUES ({0}, 'Guest {0}', '1', 'Cook', 0)")
ADDED = ("hiring_forms", "candidate_forms")


# -- who writes meanwhile ---------------------------------------------------------------------------------------------

class Writer:
    """Adds a row to each of two tables, all or none, over and over; `last` is the last one that is committed."""

    def __init__(self, add):
        self.add, self.last, self.error = add, FIRST - 1, None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self):
        self._thread.start()
        wait_for(lambda: self.error or self.last > FIRST + 20, "the first rows")
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
        assert self.error is None, self.error

    def _write(self):
        try:
            while not self._over.is_set():
                self.add(self.last + 1)
                self.last += 1
                time.sleep(0.001)
        except Exception as error:      # told by who waits for it
            self.error = error


def writer_of_file(path):
    local = threading.local()

    def add(number):
        if not hasattr(local, "db"):
            local.db = sqlite3.connect(path, timeout=60, isolation_level=None)
        local.db.execute("BEGIN IMMEDIATE")
        for sql in ADD:
            local.db.execute(sql.format(number))
        local.db.execute("COMMIT")
    return Writer(add)


# -- what a file holds, asked from outside --------------------------------------------------------------------------------

def read(path, sql, *arguments):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        rows = db.execute(sql, arguments).fetchall()
    db.close()
    return rows


def tables_of(path):
    return [name for name, in read(path, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]


def assert_one_moment(path, least, most):
    """All that was committed before the backup began, nothing by halves, nothing of later than its end."""
    last = []
    for table in ADDED:
        (count, greatest), = read(path, f"SELECT COUNT(*), MAX(id) FROM {table} WHERE id >= {FIRST}")
        assert count == greatest - FIRST + 1, f"{table} has a gap"
        last.append(greatest)
    assert last[0] == last[1], "half of a transaction"
    assert least <= last[0] <= most
    return last[0]


def assert_rows_are_those_of(path, original, last):
    """Every row of every table, but what was added after the backup."""
    assert tables_of(path) == tables_of(original)
    for table in tables_of(path):
        limit = f"WHERE id <= {last}" if table in ADDED else ""
        assert read(path, f"SELECT * FROM {table} ORDER BY 1") == \
            read(original, f"SELECT * FROM {table} {limit} ORDER BY 1"), table


def left_beside(path):
    return sorted(file.name for file in path.parent.iterdir() if file.name.startswith(path.name + "."))


# -- running it -----------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return harness.make_database(tmp_path_factory.mktemp("original"), CERTIFICATES)


@pytest.fixture
def database(original, tmp_path):
    """An embedded one that a test may change."""
    path = tmp_path / "own.db"
    shutil.copy(original, path)
    return path


def backup(folder, path, *arguments, status=0, **settings):
    return sanad(folder, "backup", *map(str, arguments), str(path), settings=settings, status=status)


def begin(folder, path, *arguments, **settings):
    return subprocess.Popen([str(harness.BINARY), "backup", *arguments, str(path)], cwd=folder, text=True,
                            env=harness.environment(settings), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def interrupt(folder, path, number, *arguments, **settings):
    """A backup that gets a signal as soon as a part of it is written; its exit status."""
    draft = path.with_name(path.name + ".part")
    draft.unlink(missing_ok=True)
    run = begin(folder, path, *arguments, **settings)
    wait_for(lambda: run.poll() is not None or (draft.exists() and draft.stat().st_size > 0), "a part")
    run.send_signal(number)
    words = run.communicate(timeout=60)[1]
    harness.assert_no_report(words)
    return run.returncode


# -- an embedded database ---------------------------------------------------------------------------------------------------

def test_embedded__written_to_and_served_then_restored(database, tmp_path):
    kept = tmp_path / "kept.db"
    with harness.Server(tmp_path / "first", {"DB_PATH": database}) as server:
        answer = server.get("/api/certificates/public?limit=20")
        cursor, first = answer.links()["next"], answer.body
        second = server.get(cursor).body
        with writer_of_file(database) as writer:
            for _ in range(3):
                least = writer.last
                done = backup(tmp_path, kept, "--force", DB_PATH=database)
                last = assert_one_moment(kept, least, writer.last + 1)
            assert server.get("/health/ready").status == 200
            wait_for(lambda: writer.error or writer.last > last + 20, "rows after it")
    assert kept.stat().st_mode & 0o777 == 0o600 and left_beside(kept) == ["kept.db.key"]
    assert (tmp_path / "kept.db.key").stat().st_mode & 0o777 == 0o600
    assert_rows_are_those_of(kept, database, last)
    rows = sum(count for table in tables_of(kept) if table != "schema_migrations"
               for count, in read(kept, f"SELECT COUNT(*) FROM {table}"))
    assert f"{kept}: {rows} rows in 13 tables" in done.stdout and "kept.db.key" in done.stdout

    restored = harness.Server(tmp_path / "second")
    shutil.copy(kept, restored.db_path)
    shutil.copy(f"{kept}.key", f"{restored.db_path}.key")
    with restored as server:
        assert server.get("/api/certificates/public?limit=20").body == first
        assert server.get(cursor).body == second, "a cursor of the first installation"
        assert_rows_are_those_of(restored.db_path, kept, last)
    other = harness.Server(tmp_path / "third", database=kept)
    with other as server:
        assert server.get(cursor).status != 200, "the secret makes no difference: this test shows nothing"


def test_embedded__a_log_that_no_checkpoint_has_emptied_is_in_it(database, tmp_path):
    open_one = sqlite3.connect(database)
    open_one.execute("PRAGMA journal_mode=WAL")
    open_one.execute("INSERT INTO spa (code, name, created_at) VALUES ('LAST', 'Last', 0)")
    open_one.commit()
    backup(tmp_path, tmp_path / "kept.db", DB_PATH=database)
    open_one.close()
    assert read(tmp_path / "kept.db", "SELECT name FROM spa WHERE code = 'LAST'") == [("Last",)]


def test_embedded__killed_at_any_moment_nothing_half_is_taken_for_whole(database, tmp_path):
    kept, before = tmp_path / "kept.db", None
    cut = 0
    with writer_of_file(database) as writer:
        backup(tmp_path, kept, DB_PATH=database)
        for number in range(12):
            before = kept.read_bytes()
            arguments = ("--force",) if number % 2 else ()
            path = kept if number % 2 else tmp_path / f"other{number}.db"
            status = interrupt(tmp_path, path, signal.SIGKILL, *arguments, DB_PATH=database)
            if status == 0:
                continue
            assert status == -signal.SIGKILL
            cut += (tmp_path / f"{path.name}.part").exists()
            if path != kept:
                assert not path.exists() or backup(tmp_path, path, "--verify")
            elif kept.read_bytes() != before:
                backup(tmp_path, kept, "--verify")
        assert cut > 3, "hardly any was killed in the middle: this test shows nothing"
        least = writer.last
        backup(tmp_path, kept, "--force", DB_PATH=database)
        assert_one_moment(kept, least, writer.last + 1)
        assert left_beside(kept) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
def test_embedded__asked_to_stop_it_takes_its_part_away(database, tmp_path, number):
    stopped = 0
    for turn in range(30):
        path = tmp_path / f"kept{turn}.db"
        status = interrupt(tmp_path, path, number, DB_PATH=database)
        assert status in (0, 1) and left_beside(path) == [] and path.exists() == (status == 0)
        stopped += status
        if stopped > 2:
            return
    raise AssertionError("none was stopped in the middle: this test shows nothing")


def test_embedded__two_at_once_the_second_is_refused(database, tmp_path):
    kept, draft = tmp_path / "kept.db", tmp_path / "kept.db.part"
    for _ in range(50):
        first = begin(tmp_path, kept, "--force", DB_PATH=database)
        wait_for(lambda: first.poll() is not None or (draft.exists() and draft.stat().st_size > 0), "its part")
        first.send_signal(signal.SIGSTOP)
        if first.poll() is None and draft.exists():
            break
        first.send_signal(signal.SIGCONT)
        first.communicate(timeout=60)
    assert "under way" in backup(tmp_path, kept, "--force", DB_PATH=database, status=1).stderr
    first.send_signal(signal.SIGCONT)
    words = first.communicate(timeout=60)[1]
    assert first.returncode == 0, words
    backup(tmp_path, kept, "--verify")


# -- what is refused, and what fails ------------------------------------------------------------------------------------------

def refused(folder, path, *arguments, **settings):
    done = backup(folder, path, *arguments, status=1, **settings)
    assert done.stderr.count("\n") == 1 and not done.stdout, done.stderr
    return done.stderr


def test_refused__leaves_everything_as_it_is(database, tmp_path):
    there = tmp_path / "there.db"
    there.write_text("mine")
    assert "--force" in refused(tmp_path, there, DB_PATH=database)
    assert there.read_text() == "mine"
    before = database.read_bytes()
    (tmp_path / "link.db").symlink_to(database)
    for name in (database, "own.db", "link.db"):
        assert "the database itself" in refused(tmp_path, name, "--force", DB_PATH=database)
    assert database.read_bytes() == before
    (tmp_path / "there.db-wal").write_text("")
    assert "in use as a database" in refused(tmp_path, there, "--force", DB_PATH=database)
    assert "in use as a database" in refused(tmp_path, tmp_path / "there.db-wal"[:-4], "--force", DB_PATH=database)
    assert "No such file" in refused(tmp_path, "no-folder/kept.db", DB_PATH=database)
    assert "not a file" in refused(tmp_path, tmp_path, "--force", DB_PATH=database)
    assert "No such file" in refused(tmp_path, "kept.db", DB_PATH=tmp_path / "none.db")
    (tmp_path / "empty.db").touch()
    assert "not a database of this program" in refused(tmp_path, "kept.db", DB_PATH=tmp_path / "empty.db")
    (tmp_path / "kept.db.key").write_bytes(b"another" * 4 + b"1234")
    (tmp_path / "own.db.key").write_bytes(b"secret" * 5 + b"12")
    assert "another secret" in refused(tmp_path, "kept.db", DB_PATH=database)
    assert left_beside(tmp_path / "kept.db") == ["kept.db.key"] and not (tmp_path / "kept.db").exists()
    assert (tmp_path / "kept.db.key").read_bytes().startswith(b"another")


@pytest.mark.parametrize("arguments, told", [((), "wants the file"), (("a", "b"), "b is one argument too many"),
                                             (("--forec", "a"), "--force")], ids=["none", "two", "misspelt"])
def test_usage__is_told_in_a_line(tmp_path, arguments, told):
    assert told in sanad(tmp_path, "backup", *arguments, status=64).stderr


def test_secret__of_the_settings_is_named_and_not_shown(database, tmp_path):
    secret = "thirty-two letters and one more.."
    done = backup(tmp_path, tmp_path / "kept.db", DB_PATH=database, SECRET_KEY=secret)
    assert "SECRET_KEY" in done.stdout and secret not in done.stdout and left_beside(tmp_path / "kept.db") == []


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0777", "tmpfs", str(folder)],
                          capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"this user may not mount: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_failed__a_full_disk_is_one_line_and_nothing_is_left(database, small_disk, tmp_path):
    with harness.Server(tmp_path / "server", {"DB_PATH": database}) as server:
        assert "No space left on device" in refused(tmp_path, small_disk / "kept.db", DB_PATH=database)
        assert server.get("/api/spas").status == 200
    assert list(small_disk.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_failed__a_folder_that_may_not_be_written_to(database, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    mine = tmp_path / "mine"
    mine.mkdir()
    shutil.copy(database, mine / "sanad.db")
    for path in (mine, mine / "sanad.db", closed):
        os.chown(path, 65534, 65534)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    done = subprocess.run([str(harness.BINARY), "backup", str(closed / "kept.db")], cwd=mine, user=65534, group=65534,
                          env=harness.environment({"DB_PATH": mine / "sanad.db"}), capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 1 and "Permission denied" in done.stderr and done.stderr.count("\n") == 1, done
    assert list(closed.iterdir()) == []


# -- checking a file -----------------------------------------------------------------------------------------------------------

def test_verify__finds_what_is_wrong(database, tmp_path):
    kept = tmp_path / "kept.db"
    backup(tmp_path, kept, DB_PATH=database)
    before = kept.read_bytes()
    kept.chmod(0o400)
    done = backup(tmp_path, kept, "--verify")
    assert "whole" in done.stdout and f"{'spa':32} {40:10}" in done.stdout and kept.read_bytes() == before
    assert left_beside(kept) == []
    kept.chmod(0o600)

    kept.write_bytes(before[:len(before) // 2])
    assert backup(tmp_path, kept, "--verify", status=1).stderr
    (root,), = read(database, "SELECT rootpage FROM sqlite_schema WHERE name = 'users'")
    page = int.from_bytes(before[16:18], "big")
    kept.write_bytes(before[:(root - 1) * page] + bytes(page) + before[root * page:])
    assert "kept.db" in backup(tmp_path, kept, "--verify", status=1).stderr
    kept.write_text("no database, but text enough to be taken for something\n" * 100)
    assert "not an SQLite database" in backup(tmp_path, kept, "--verify", status=1).stderr
    kept.write_bytes(b"")
    assert "not a database of this program" in backup(tmp_path, kept, "--verify", status=1).stderr
    assert "No such file" in backup(tmp_path, "none.db", "--verify", status=1).stderr


def test_verify__an_index_that_lacks_a_row(database, tmp_path):
    kept = tmp_path / "kept.db"
    with sqlite3.connect(database) as db:
        (sql,), = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'idx_spa_code'").fetchall()
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_schema SET sql = sql || ' WHERE id > 3' WHERE name = 'idx_spa_code'")
    db.close()
    with sqlite3.connect(database) as db:
        db.execute("REINDEX idx_spa_code")
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'idx_spa_code'", (sql,))
    db.close()
    backup(tmp_path, kept, DB_PATH=database)
    assert "idx_spa_code" in backup(tmp_path, kept, "--verify", status=1).stderr


# -- a server's database ----------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if not available():
        pytest.skip("there is no mariadb-server")
    folder = tmp_path_factory.mktemp("backup")
    with MariaDB(folder) as db:
        sanad(folder, "migrate", settings=settings_of(db))
        sanad(folder, "demo", "--certificates", "2000", settings=settings_of(db), timeout=300)
        yield db


def adder_to(server, client):
    def add(number):
        client.stdin.write("BEGIN; " + "; ".join(sql.format(number) for sql in ADD) + f"; COMMIT; SELECT {number};\n")
        client.stdin.flush()
        assert client.stdout.readline().strip() == str(number), client.stderr.read()
    return add


@pytest.fixture
def writing(server):
    client = subprocess.Popen(["/usr/bin/mariadb", f"--socket={server.socket}", "-uroot", "-N", "-B", "--unbuffered",
                               "sanad"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with Writer(adder_to(server, client)) as writer:
        yield writer
    client.stdin.close()
    client.wait(60)


def test_server__written_to_then_restored_into_a_server_and_a_file(server, writing, tmp_path):
    kept, mine = tmp_path / "kept.db", settings_of(server)
    server.sql("SET GLOBAL TRANSACTION ISOLATION LEVEL READ COMMITTED", database=None)   # the backup asks for its own
    for _ in range(2):
        least = writing.last
        done = backup(tmp_path, kept, "--force", **mine)
        last = assert_one_moment(kept, least, writing.last + 1)
    assert PASSWORD not in done.stdout + done.stderr and "SECRET_KEY" in done.stdout
    assert kept.stat().st_mode & 0o777 == 0o600 and left_beside(kept) == []
    assert "whole" in backup(tmp_path, kept, "--verify").stdout
    server.sql("DROP DATABASE IF EXISTS again; CREATE DATABASE again;" + "".join(
        f"GRANT ALL ON again.* TO {USER}@'{host}';" for host in ("localhost", "%")), database=None)
    sanad(tmp_path, "copy", "--from", f"sqlite:{kept}", "--to", "mysql:///again", settings=mine, timeout=300)
    for table in ADDED:
        assert server.value(f"SELECT MAX(id) FROM {table}", "again") == str(last)
    with harness.Server(tmp_path / "file", database=kept) as restored:
        assert len(restored.get("/api/certificates/public?limit=20").json()) == 20
        assert restored.rows("SELECT MAX(id) AS last FROM hiring_forms") == [{"last": last}]


def test_server__away_or_without_tables_is_one_line(server, tmp_path):
    server.sql("CREATE DATABASE IF NOT EXISTS bare; GRANT ALL ON bare.* TO "
               f"{USER}@'localhost'; GRANT ALL ON bare.* TO {USER}@'%'", database=None)
    assert "sanad migrate" in refused(tmp_path, tmp_path / "kept.db", **settings_of(server, DB_NAME="bare"))
    assert PASSWORD not in refused(tmp_path, tmp_path / "kept.db", **settings_of(server, DB_PORT=1, DB_SOCKET=""))
    assert left_beside(tmp_path / "kept.db") == [] and not (tmp_path / "kept.db").exists()


def test_server__a_replica_that_takes_no_writes_will_do(server, tmp_path):
    server.sql("SET GLOBAL read_only = 1", database=None)
    try:
        backup(tmp_path, tmp_path / "kept.db", **settings_of(server))
    finally:
        server.sql("SET GLOBAL read_only = 0", database=None)
    assert "whole" in backup(tmp_path, tmp_path / "kept.db", "--verify").stdout


def test_server__killed_and_stopped_nothing_half_is_left(server, tmp_path):
    mine, kept = settings_of(server), tmp_path / "kept.db"
    assert interrupt(tmp_path, kept, signal.SIGKILL, **mine) in (-signal.SIGKILL, 0)
    assert not kept.exists() or backup(tmp_path, kept, "--verify")
    kept.unlink(missing_ok=True)
    status = interrupt(tmp_path, kept, signal.SIGTERM, **mine)
    assert status in (0, 1) and left_beside(kept) == [] and kept.exists() == (status == 0)
