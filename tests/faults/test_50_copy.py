# SPDX-License-Identifier: MIT
"""`sanad copy`: an embedded installation moves to a server and loses nothing, whatever is killed on the way."""
import itertools
import random
import shutil
import signal
import sqlite3
import subprocess
import time

import pytest

import harness
from harness import sanad, wait_for
from mariadb import PASSWORD, USER, MariaDB, available
from service import settings_of

pytestmark = pytest.mark.skipif(not available(), reason="there is no mariadb-server")

CERTIFICATES = 10_000
UNFINISHED = "unfinished_copy"
numbers = itertools.count(1)


# -- values that are hard to copy -------------------------------------------------------------------------------------

HARD = ("Ünïcode 😀 \u0906\u0936\u093e \U0001d504 \u200d\u00a0", "quote ' \" ` \\ \\' \\0 %s ? -- ;", "line\r\nbreak\ttab\x01\x7f",
        "zero\0within", " spaces around ", "\u0645\u0631\u062d\u0628\u0627 e\u0301", "%", "\\")
ONE_OF = {"role": "spa_manager", "payment_mode": "upi", ("candidate_forms", "status"): "hired",
          ("hiring_forms", "status"): "filled"}
ASCII = {("users", "email"), ("users", "username"), ("users", "password_hash")}
DAYS = ("1000-01-01", "2024-02-29", "9999-12-31")
REFERS = {"spa_id", "template_id", "created_by"}


def columns_of(mariadb, database):
    """{table: [{column, type, length, nullable}]} as the server has them, in the order of the columns' names."""
    found = {}
    for row in mariadb.rows(
            "SELECT table_name AS t, column_name AS c, data_type AS k, IFNULL(IF(data_type LIKE '%text', "
            "character_octet_length DIV 4, character_maximum_length), 0) AS n, is_nullable = 'YES' AS e FROM information_schema.columns WHERE table_schema = DATABASE() "
            f"AND table_name NOT IN ('schema_migrations', '{UNFINISHED}') ORDER BY 1, 2", database):
        found.setdefault(row["t"], []).append(
            {"name": row["c"], "kind": row["k"], "length": int(row["n"]), "nullable": row["e"] == "1"})
    return found


def hard_value(table, column, turn):
    """A value that the column takes, another one each turn; None where it may."""
    name, kind = column["name"], column["kind"]
    if turn == 0 and column["nullable"]:
        return None
    if name == "code" and column["length"] == 27:
        return f"{table[:6]}-{turn:020d}"
    chosen = ONE_OF.get(name) or ONE_OF.get((table, name))
    if chosen:
        return chosen
    if name in REFERS:
        return turn % 2 + 1
    if kind == "date":
        return DAYS[turn % len(DAYS)]
    if kind == "tinyint":
        return turn % 2
    if kind in ("int", "bigint"):
        most = 2 ** (31 if kind == "int" else 63)
        return (0, most - 1, -most, 2**31 - 8, -1, 1)[turn % 6]
    if name in ("template_config", "certificate_data", "salary_months", "bill_lines", "entries"):
        return ('{}', '[ ]', '{"b": 1.50,  "a": [true, null, "\u0906 \\u0000 \U0001f600"]}', '"text"')[turn % 4]
    if (table, name) in ASCII:
        return f"{'~' * (column['length'] - 20)}{turn:020d}"[-column["length"]:]
    if turn == 0:
        return "" if name != "code" else "empty"
    return f"{turn}{HARD[turn % len(HARD)] * 6}"[:min(column["length"], 2_000)] if turn % 3 else \
        f"{turn}" + "\U0001f600" * (min(column["length"], 300_000) - len(str(turn)))


def insert_hard_rows(path, columns):
    """A few rows of hard values in every table, with keys that are hard, too."""
    keys = (0, -1, -(2**63) + 1, 2**40, 2**40 + 2, 2**53 + 1, 2**62)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA foreign_keys = ON")
        for table in tables_in_order(db):
            for turn, key in enumerate(keys):
                row = {c["name"]: hard_value(table, c, turn) for c in columns[table]}
                row["id"] = key
                db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
                           list(row.values()))
    db.close()


def tables_in_order(db):
    return [name for name, in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> "
                                         "'schema_migrations' ORDER BY rowid")]


# -- what the two databases hold, asked from outside -------------------------------------------------------------------

def rows_of_sqlite(path, columns):
    """{table: [a text a row: each value in hexadecimal, or ~]}"""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        db.text_factory = bytes
        found = {}
        for table in columns:
            names = ", ".join(c["name"] for c in columns[table])
            found[table] = [",".join("~" if value is None else
                                     (value if isinstance(value, bytes) else str(value).encode()).hex().upper()
                                     for value in row)
                            for row in db.execute(f"SELECT {names} FROM {table} ORDER BY id")]
    db.close()
    return found


def rows_of_mariadb(mariadb, database, columns):
    found = {}
    for table in columns:
        values = ", ".join(f"IFNULL(HEX(CAST({c['name']} AS CHAR CHARACTER SET utf8mb4)), '~')" for c in columns[table])
        found[table] = mariadb.sql(f"SELECT CONCAT_WS(',', {values}) FROM {table} ORDER BY id", database)[1:]
    return found


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for table in ours:
        assert len(ours[table]) == len(theirs[table]), table
        for one, other in zip(ours[table], theirs[table]):
            assert one == other, f"{table}:\n{one[:2000]}\n{other[:2000]}"


# -- fixtures ---------------------------------------------------------------------------------------------------------

class Target:
    """A database of its own on the tests' server."""

    def __init__(self, mariadb, database):
        self.mariadb, self.database, self.url = mariadb, database, f"mysql:///{database}"

    def sql(self, text):
        return self.mariadb.sql(text, self.database)

    def tables(self):
        return self.sql("SHOW TABLES")[1:]

    def count(self, table):
        return int(self.mariadb.value(f"SELECT COUNT(*) FROM {table}", self.database)) if table in self.tables() else 0

    def rows(self, tables):
        """How many all of them have; 0 before they are made."""
        if set(tables) - set(self.tables()):
            return 0
        sums = " + ".join(f"(SELECT COUNT(*) FROM {table})" for table in tables)
        return int(self.mariadb.value(f"SELECT {sums}", self.database))

    def unfinished(self):
        return UNFINISHED in self.tables()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with MariaDB(tmp_path_factory.mktemp("copy")) as db:
        yield db


@pytest.fixture
def target(server):
    database = f"copy{next(numbers)}"
    server.sql(f"CREATE DATABASE {database};" + "".join(f"GRANT ALL ON {database}.* TO {USER}@'{host}';"
                                                       for host in ("localhost", "%")), database=None)
    return Target(server, database)


@pytest.fixture(scope="module")
def columns(server, tmp_path_factory):
    """What the schema takes, as the migrations make it."""
    sanad(tmp_path_factory.mktemp("schema"), "migrate", settings=settings_of(server))
    return columns_of(server, "sanad")


@pytest.fixture(scope="module")
def full(tmp_path_factory, columns):
    """Demo data of every table, and hard values."""
    path = harness.make_database(tmp_path_factory.mktemp("full"), CERTIFICATES)
    insert_hard_rows(path, columns)
    return path


@pytest.fixture(scope="module")
def small_original(tmp_path_factory):
    return harness.make_database(tmp_path_factory.mktemp("small"), 500)


@pytest.fixture
def small(small_original, tmp_path):
    """A source that a test may change."""
    return shutil.copy(small_original, tmp_path / "small.db")


def copy(folder, server, *arguments, status=0, **settings):
    done = sanad(folder, "copy", *map(str, arguments), settings=settings_of(server, **settings), status=status,
                 timeout=300)
    assert PASSWORD not in done.stdout + done.stderr
    return done


def start_copy(folder, server, *arguments):
    return subprocess.Popen([str(harness.BINARY), "copy", *map(str, arguments)], cwd=folder, text=True,
                            env=harness.environment(settings_of(server)), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def change(path, sql, *arguments):
    with sqlite3.connect(path) as db:
        db.execute(sql, arguments)
    db.close()


# -- every value ------------------------------------------------------------------------------------------------------

def test_copy__there_and_back_every_row_is_as_it_was(server, target, full, columns, tmp_path):
    done = copy(tmp_path, server, "--from", f"sqlite:{full}", "--to", target.url)
    before = rows_of_sqlite(full, columns)
    assert all(before.values()), "a table without rows proves nothing"
    assert_same(before, rows_of_mariadb(server, target.database, columns))
    for table, rows in before.items():
        assert [line.split()[1] for line in done.stdout.splitlines() if line.split()[:1] == [table]] == [str(len(rows))]
    assert not target.unfinished() and not done.stderr.count("sanad copy:")
    copy(tmp_path, server, "--from", target.url, "--to", "sqlite:back/sanad.db")
    assert_same(before, rows_of_sqlite(tmp_path / "back" / "sanad.db", columns))
    assert (tmp_path / "back" / "sanad.db").stat().st_mode & 0o777 == 0o600


def test_copy__the_next_id_is_beyond_the_greatest(server, target, small, tmp_path):
    change(small, "UPDATE hiring_forms SET id = 777000 WHERE id = 5")
    copy(tmp_path, server, "--from", f"sqlite:{small}", "--to", target.url)
    target.sql("INSERT INTO hiring_forms (job_role, created_at) VALUES ('Cook', 0)")
    assert target.mariadb.value("SELECT MAX(id) FROM hiring_forms", target.database) == "777001"


def test_copy__from_file_to_file_and_to_the_settings_own_database(small, columns, tmp_path):
    done = sanad(tmp_path, "copy", "--from", f"sqlite:{small}", settings={"DB_PATH": tmp_path / "other.db"})
    assert "name the new database already" in done.stdout
    assert_same(rows_of_sqlite(small, columns), rows_of_sqlite(tmp_path / "other.db", columns))


# -- whatever is killed -------------------------------------------------------------------------------------------------

def test_killed__goes_on_where_it_stopped(server, target, full, columns, tmp_path):
    arguments = ("--from", f"sqlite:{full}", "--to", target.url)
    dice, stored, kills = random.Random(50), 0, 0
    while kills < 8:
        process = start_copy(tmp_path, server, *arguments)
        if kills == 0:
            time.sleep(dice.uniform(0.02, 0.2))        # where it makes the tables
        else:
            goal = stored + dice.randrange(2_000)
            wait_for(lambda: process.poll() is not None or target.rows(columns) > goal, "more rows")
            time.sleep(dice.uniform(0, 0.02))
        process.kill()
        process.communicate()
        if process.returncode != -signal.SIGKILL:
            break
        kills += 1
        assert target.rows(columns) >= stored, "what was stored is gone"
        stored = target.rows(columns)
    assert kills > 2, "it was never killed on its way"
    assert not target.rows(columns) or target.unfinished() or process.returncode == 0
    copy(tmp_path, server, *arguments, status=None)    # it may have ended just before it was killed
    assert_same(rows_of_sqlite(full, columns), rows_of_mariadb(server, target.database, columns))
    assert not target.unfinished()


def test_server_killed__says_so_and_goes_on_later(server, target, full, columns, tmp_path):
    arguments = ("--from", f"sqlite:{full}", "--to", target.url)
    process = start_copy(tmp_path, server, *arguments)
    wait_for(lambda: target.tables() and target.count("spa_therapist_certificates"), "the first rows")
    server.kill()
    try:
        out, err = process.communicate(timeout=harness.PATIENCE)
        assert process.returncode == 1, f"{out}\n{err}"
        harness.assert_no_report(err)
        assert "the destination: " in err and "run the same command again" in err
        again = copy(tmp_path, server, *arguments, status=1)
        assert "the destination: " in again.stderr
    finally:
        server.start()
    assert target.unfinished()
    assert "going on" in copy(tmp_path, server, *arguments).stdout
    assert_same(rows_of_sqlite(full, columns), rows_of_mariadb(server, target.database, columns))


# -- a copy that is not finished ------------------------------------------------------------------------------------------

@pytest.fixture
def half(server, target, small, tmp_path):
    """A destination whose copy ended early."""
    copy(tmp_path, server, "--from", f"sqlite:{small}", "--to", target.url)
    target.sql(f"CREATE TABLE {UNFINISHED} (begun_at BIGINT NOT NULL PRIMARY KEY);"
               "DELETE FROM hiring_forms WHERE id > 100; DELETE FROM candidate_forms")
    return target


def test_unfinished__nothing_else_uses_it(server, half, tmp_path):
    mine = {**settings_of(server, DB_NAME=half.database), "PORT": "0", "HOST": "127.0.0.1"}
    for command in ("serve", "migrate", "demo"):
        assert "not finished" in sanad(tmp_path, command, settings=mine, status=1).stderr, command
    assert "not finished" in sanad(tmp_path, "check", settings=mine, status=1).stdout
    done = copy(tmp_path, server, "--from", half.url, "--to", "sqlite:new.db", status=1)
    assert "the source: " in done.stderr and "not finished" in done.stderr


def test_unfinished__another_source_is_refused(server, half, small, columns, tmp_path):
    change(small, "UPDATE hiring_forms SET job_role = 'Another' WHERE id = 100")
    before = rows_of_mariadb(server, half.database, columns)
    done = copy(tmp_path, server, "--from", f"sqlite:{small}", "--to", half.url, status=1)
    assert "row 100 of hiring_forms" in done.stderr
    assert_same(before, rows_of_mariadb(server, half.database, columns))


def test_unfinished__a_changed_source_is_named_and_restart_mends_it(server, half, small, columns, tmp_path):
    change(small, "UPDATE users SET full_name = 'Somebody Else' WHERE id = 7")
    arguments = ("--from", f"sqlite:{small}", "--to", half.url)
    done = copy(tmp_path, server, *arguments, status=1)
    assert [line.split()[0] for line in done.stdout.splitlines() if "DIFFERS" in line] == ["users"]
    assert "at id 7\n" in done.stdout and "--restart" in done.stderr
    assert half.unfinished()
    copy(tmp_path, server, *arguments, "--restart")
    assert_same(rows_of_sqlite(small, columns), rows_of_mariadb(server, half.database, columns))
    assert not half.unfinished()


# -- rows that the server does not take -------------------------------------------------------------------------------------

def test_refused__rows_are_named_and_what_is_mended_is_copied(server, target, small, columns, tmp_path):
    arguments = ("--from", f"sqlite:{small}", "--to", target.url)
    change(small, "UPDATE users SET email = 'jos\u00e9@example.com' WHERE id = 3")
    change(small, "UPDATE users SET full_name = ? WHERE id = 9", "x" * 256)
    change(small, "UPDATE candidate_forms SET date_of_birth = '2023-02-29' WHERE id = 11")
    change(small, "UPDATE candidate_forms SET date_of_birth = '2023-2-9' WHERE id = 12")
    change(small, "UPDATE candidate_forms SET experience_months = 3000000000 WHERE id = 13")
    done = copy(tmp_path, server, *arguments, status=1)
    assert [line.split(": ")[1] for line in done.stderr.splitlines() if ", id " in line] == ["users, id 3", "users, id 9"]
    assert "'email'" in done.stderr.replace("`", "'") and "full_name" in done.stderr and "Mend" in done.stderr
    assert target.count("users") == 0 and target.count("spa") == 40 and target.unfinished()
    change(small, "UPDATE users SET email = 'jose@example.com' WHERE id = 3")
    change(small, "UPDATE users SET full_name = 'x' WHERE id = 9")
    done = copy(tmp_path, server, *arguments, status=1)
    assert [line.split(": ")[1] for line in done.stderr.splitlines() if ", id " in line] == \
        [f"candidate_forms, id {key}" for key in (11, 13, 12)]
    assert "date_of_birth would not be stored as it is" in done.stderr
    change(small, "UPDATE candidate_forms SET date_of_birth = '2023-02-09', experience_months = 1 WHERE id IN (11, 12, 13)")
    copy(tmp_path, server, *arguments)
    assert_same(rows_of_sqlite(small, columns), rows_of_mariadb(server, target.database, columns))


def test_refused__a_row_larger_than_the_server_takes(server, target, small, tmp_path):
    change(small, "UPDATE certificate_templates SET template_html = ? WHERE id = 2", "h" * 3_000_000)
    server.sql("SET GLOBAL max_allowed_packet = 2097152", database=None)
    try:
        done = copy(tmp_path, server, "--from", f"sqlite:{small}", "--to", target.url, status=1)
    finally:
        server.sql("SET GLOBAL max_allowed_packet = 67108864", database=None)
    assert "certificate_templates" in done.stderr and "max_allowed_packet" in done.stderr
    assert "going on" in copy(tmp_path, server, "--from", f"sqlite:{small}", "--to", target.url).stdout


# -- what is refused before anything is done ------------------------------------------------------------------------------------

USAGE = [
    ((), "--from"),
    (("--from", "postgres://h/x"), "sqlite:PATH or mysql://"),
    (("--from", "data/sanad.db"), "sqlite:PATH or mysql://"),
    (("--from", "sqlite:{small}", "--to", f"mysql://{USER}:hush@127.0.0.1/x"), "DB_PASSWORD"),
    (("--from", "sqlite:{small}", "--to", "mysql://h:99999/x"), "port"),
    (("--from", "sqlite:{small}", "--to", "sqlite:{small}"), "one database"),
    (("--from", "sqlite:{small}", "--to", "sqlite:./small.db"), "one database"),
    (("--from", "mysql:", "--to", "mysql:"), "one database"),
    (("--from", "mysql:"), "one database"),
    (("--from", "sqlite:{small}", "more"), "one argument too many"),
    (("--from", "sqlite:{small}", "--restrat"), "--restart"),
    (("--from", "mysql:", "--show-secret"), "embedded"),
]


@pytest.mark.parametrize("arguments, told", USAGE, ids=lambda value: value if isinstance(value, str) else None)
def test_usage__is_told_in_a_line(server, small, tmp_path, arguments, told):
    done = copy(tmp_path, server, *(word.format(small=small) for word in arguments), status=64)
    assert told in done.stderr and "hush" not in done.stderr and not done.stdout


def test_usage__a_server_that_is_not_named(small, tmp_path):
    for url, told in (("mysql:", "DB_HOST"), ("mysql://127.0.0.1", "DB_NAME"), ("mysql://127.0.0.1/x", "DB_USER")):
        assert told in sanad(tmp_path, "copy", "--from", f"sqlite:{small}", "--to", url, status=64).stderr


def failed(folder, server, source, to):
    done = copy(folder, server, "--from", source, "--to", to, status=1)
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_refused__a_source_that_is_none(server, target, tmp_path):
    assert "No such file" in failed(tmp_path, server, "sqlite:not-there.db", target.url)
    (tmp_path / "empty.db").touch()
    assert "not a database of this program" in failed(tmp_path, server, "sqlite:empty.db", target.url)
    (tmp_path / "text.db").write_text("no database, but text enough to be taken for something\n" * 100)
    assert "not an SQLite database" in failed(tmp_path, server, "sqlite:text.db", target.url)
    (tmp_path / "folder.db").mkdir()
    assert "it is a folder" in failed(tmp_path, server, "sqlite:folder.db", target.url)
    assert target.tables() == []


def test_refused__a_source_of_another_version(server, target, small, tmp_path):
    change(small, "INSERT INTO schema_migrations SELECT max(number) + 1, 'later', sha256, applied_at FROM schema_migrations")
    assert "the source: " in failed(tmp_path, server, f"sqlite:{small}", target.url)
    change(small, "DELETE FROM schema_migrations WHERE name = 'later'")
    change(small, "UPDATE schema_migrations SET sha256 = 'another'")
    assert "the source: " in failed(tmp_path, server, f"sqlite:{small}", target.url)
    assert target.tables() == []


def test_refused__a_source_that_is_written_to(server, target, small, tmp_path):
    with sqlite3.connect(small, isolation_level=None) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("BEGIN IMMEDIATE")
        said = copy(tmp_path, server, "--from", f"sqlite:{small}", "--to", target.url, status=1).stderr
    db.close()
    assert "the source" in said


def test_refused__a_destination_that_has_data(server, target, small, tmp_path):
    sanad(tmp_path, "migrate", settings=settings_of(server, DB_NAME=target.database))
    target.sql("INSERT INTO spa (code, name, created_at) VALUES ('A', 'A', 0)")
    for more in ((), ("--restart",)):
        done = copy(tmp_path, server, "--from", f"sqlite:{small}", "--to", target.url, *more, status=1)
        assert "has data already (spa: 1 rows)" in done.stderr
    assert target.count("spa") == 1 and target.count("users") == 0 and not target.unfinished()


def test_refused__a_destination_that_does_not_answer(server, target, small, tmp_path):
    source = f"sqlite:{small}"
    assert "no_such_database" in failed(tmp_path, server, source, "mysql:///no_such_database")
    assert "the destination: " in failed(tmp_path, server, source, f"mysql://{USER}@127.0.0.1:1/x")
    done = copy(tmp_path, server, "--from", source, "--to", target.url, status=1, DB_PASSWORD="not this one")
    assert "Access denied" in done.stderr and "not this one" not in done.stderr
    assert "the folder" in failed(tmp_path, server, source, "sqlite:no/such/folder/x.db")


# -- the secret ---------------------------------------------------------------------------------------------------------------

def next_page(server):
    answer = server.get("/api/certificates/public?limit=5")
    assert answer.status == 200
    return answer.links()["next"]


def test_secret__moves_and_cursors_stay_valid(server, target, small, tmp_path):
    with harness.Server(tmp_path / "embedded", database=small) as embedded:
        link = next_page(embedded)
        expected = embedded.get(link).json()
    source = f"sqlite:{embedded.db_path}"
    settings = {**server.settings(), "DB_NAME": target.database}
    done = sanad(tmp_path, "copy", "--from", source, settings=settings)
    assert f"sanad copy --from {source} --show-secret" in done.stdout
    line = sanad(tmp_path, "copy", "--from", source, "--show-secret", settings=settings).stdout
    name, _, secret = line.strip().partition("=")
    assert name == "SECRET_KEY" and secret not in done.stdout + done.stderr
    for key, status in ((secret, 200), ("another secret of thirty-two letters", 400)):
        moved = harness.Server(tmp_path / f"moved{status}", {**settings, "SECRET_KEY": key})
        del moved.settings["DB_PATH"]
        with moved:
            answer = moved.get(link)
            assert answer.status == status or (status == 400 and answer.status == 422), answer
            assert status != 200 or answer.json() == expected


def test_secret__of_an_installation_that_never_ran(small, tmp_path):
    done = sanad(tmp_path, "copy", "--from", f"sqlite:{small}", "--show-secret", status=1)
    assert f"{small}.key" in done.stderr and not done.stdout
