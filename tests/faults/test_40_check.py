# SPDX-License-Identifier: MIT
"""`sanad check` of a server: each thing that can be wrong with one is found, and what mends it is said. And the
warning at the start when the server has less room than the pool may want."""
import re
import socket
import threading
import time

import pytest

import harness
from harness import ROOT, sanad, wait_for
from mariadb import DATABASE, PASSWORD, USER, MariaDB, available
from service import settings_of

pytestmark = pytest.mark.skipif(not available(), reason="there is no mariadb-server")

# Found good as it is; the buffer pool is so small that a table can outgrow it.
GOOD = {"innodb_flush_log_at_trx_commit": 1, "innodb_buffer_pool_size": "8M"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checked")
    with MariaDB(folder / "mariadb", **GOOD) as db:
        sanad(folder, "migrate", settings=settings_of(db))
        yield db


class Changed:
    """A server with a global variable set to something else for a while."""

    def __init__(self, db, **variables):
        self.db, self.variables = db, variables

    def __enter__(self):
        self.before = {name: self.db.value(f"SELECT @@global.{name}") for name in self.variables}
        self._set(self.variables)

    def __exit__(self, *_):
        self._set(self.before)

    def _set(self, values):
        for name, value in values.items():
            quoted = str(value) if re.fullmatch(r"\d+", str(value)) else "'" + str(value).replace("'", "''") + "'"
            self.db.sql(f"SET GLOBAL {name} = {quoted}")


def check(db, folder, status=0, **settings):
    """What it finds: (kind, what, text) a line. Its last line counts them, and only what is BAD is a failure."""
    done = sanad(folder, "check", status=status,
                 settings={**settings_of(db), "PORT": "0", "WEB_DIR": ROOT / "web", **settings})
    assert done.stderr == "" and PASSWORD not in done.stdout
    *lines, gap, last = done.stdout.splitlines()
    found = [(line[:8].strip(), line[8:25].strip(), line[25:]) for line in lines]
    kinds = [kind for kind, _, _ in found]
    assert set(kinds) <= {"ok", "warn", "BAD"}, done.stdout
    assert gap == "" and last == f"{kinds.count('BAD')} bad, {kinds.count('warn')} warnings"
    assert status == (1 if "BAD" in kinds else 0)
    return found


def finding(found, what):
    """The one finding of that name: (kind, text)."""
    rows = [(kind, text) for kind, name, text in found if name == what]
    assert len(rows) == 1, f"{what}: {found}"
    return rows[0]


def wrong(found):
    return {what for kind, what, _ in found if kind != "ok"}


# -- a server that suits ---------------------------------------------------------------------------------------------

def test_good__nothing_is_wrong_and_nothing_changes(server, tmp_path):
    found = check(server, tmp_path)
    assert wrong(found) == set(), found
    assert {"database", "server", "connections", "round trip", "clock", "character set", "idle timeout", "durability",
            "buffer pool", "encryption", "migrations", "indexes"} <= {what for _, what, _ in found}
    assert list(tmp_path.iterdir()) == []
    version = server.value("SELECT VERSION()")
    assert finding(found, "server") == ("ok", f"MariaDB {version}")
    assert re.match(r"room for 160 \(max_connections 200, max_user_connections 160, others hold 0 now, ",
                    finding(found, "connections")[1])


def test_good__by_its_socket(server, tmp_path):
    found = check(server, tmp_path, **{name: str(value) for name, value in server.settings(by_socket=True).items()})
    assert wrong(found) == set(), found


def test_indexes__all_that_the_migrations_make_are_looked_for(server, tmp_path):
    made = server.value(f"SELECT COUNT(DISTINCT table_name, index_name) FROM information_schema.statistics WHERE "
                        f"table_schema = '{DATABASE}' AND index_name <> 'PRIMARY' AND index_name NOT LIKE 'fk\\_%'")
    assert finding(check(server, tmp_path), "indexes") == ("ok", f"all {made} are there")


# -- room ------------------------------------------------------------------------------------------------------------

def test_room__too_little_for_a_rush_is_a_warning(server, tmp_path):
    with Changed(server, max_connections=100):
        kind, text = finding(check(server, tmp_path), "connections")
        assert kind == "warn" and "room for 99 (max_connections 100" in text and "my.cnf: max_connections = 200" in text
        assert "lacks even the first" not in text
        kind, text = finding(check(server, tmp_path, DB_POOL_SIZE="100"), "connections")
        assert kind == "warn" and "lacks even the first" in text and "max_connections = 250" in text
        assert finding(check(server, tmp_path, DB_POOL_SIZE="50", DB_MAX_OVERFLOW="49"), "connections")[0] == "ok"


def test_room__not_one_for_each_worker_is_bad(server, tmp_path):
    with Changed(server, max_connections=10):
        kind, text = finding(check(server, tmp_path, 1, MAX_WORKERS="10"), "connections")
        assert kind == "BAD" and "not one for each of 10 workers" in text and "my.cnf: max_connections = 200" in text
        assert finding(check(server, tmp_path, MAX_WORKERS="9"), "connections")[0] == "warn"


def test_room__of_an_account_with_a_limit_of_its_own(server, tmp_path):
    for host in ("localhost", "%"):
        server.sql(f"GRANT USAGE ON *.* TO {USER}@'{host}' WITH MAX_USER_CONNECTIONS 60")
    try:
        kind, text = finding(check(server, tmp_path), "connections")
        assert kind == "warn" and "room for 60 (" in text and "my.cnf: max_user_connections = 160" in text
    finally:
        for host in ("localhost", "%"):
            server.sql(f"GRANT USAGE ON *.* TO {USER}@'{host}' WITH MAX_USER_CONNECTIONS 0")


def test_room__what_a_node_holds_itself_is_not_taken_by_others(server, tmp_path):
    node = harness.Server(tmp_path / "node", settings_of(server, MAX_WORKERS=2, CACHE_ENABLED=False))
    del node.settings["DB_PATH"]
    with node:
        threads = [threading.Thread(target=lambda: node.get("/api/spas")) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        held = int(server.value(f"SELECT COUNT(*) FROM information_schema.processlist WHERE user = '{USER}'"))
        assert held >= 1
        assert "others hold 0 now" in finding(check(server, tmp_path), "connections")[1]
    wait_for(lambda: server.value("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'sanad'") == "0",
             "its connections to end")


# -- the rest that a server may have wrong ---------------------------------------------------------------------------

@pytest.mark.parametrize("variables, what, told", (
    ({"wait_timeout": 20}, "idle timeout", "my.cnf: wait_timeout = 7200"),
    ({"innodb_flush_log_at_trx_commit": 2}, "durability", "my.cnf: innodb_flush_log_at_trx_commit = 1"),
    ({"innodb_flush_log_at_trx_commit": 0}, "durability", "a crash of the server may lose"),
))
def test_variable__that_is_wrong_is_a_warning_with_its_line(server, tmp_path, variables, what, told):
    with Changed(server, **variables):
        found = check(server, tmp_path)
    assert wrong(found) == {what}
    assert told in finding(found, what)[1]


def test_idle__a_timeout_that_nobody_notices_is_a_warning(server, tmp_path):
    assert finding(check(server, tmp_path), "idle timeout")[0] == "ok"
    kind, text = finding(check(server, tmp_path, DB_POOL_PRE_PING="False"), "idle timeout")
    assert kind == "warn" and "DB_POOL_PRE_PING=True" in text
    assert finding(check(server, tmp_path, DB_POOL_PRE_PING="False", DB_POOL_RECYCLE="599"), "idle timeout")[0] == "ok"


def test_charset__that_is_not_utf8mb4(server, tmp_path):
    server.sql(f"ALTER DATABASE {DATABASE} CHARACTER SET latin1")
    try:
        found = check(server, tmp_path)
        kind, text = finding(found, "character set")
        assert kind == "warn" and text.startswith("latin1 ") and "character_set_server" not in text
        server.sql(re.search(r"ALTER DATABASE .*?;", text).group(0), database=None)
        assert wrong(check(server, tmp_path)) == set()
    finally:
        server.sql(f"ALTER DATABASE {DATABASE} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci")


@pytest.mark.parametrize("seconds, kind, which", ((-5, "warn", "behind ours"), (5, "warn", "ahead of ours"),
                                                   (90, "BAD", "ahead of ours")))
def test_clock__that_is_off(server, tmp_path, seconds, kind, which):
    with Changed(server, init_connect=f"SET timestamp = {time.time() + seconds:.3f}"):
        found = check(server, tmp_path, 1 if kind == "BAD" else 0)
    assert wrong(found) == {"clock"}
    assert finding(found, "clock")[0] == kind and which in finding(found, "clock")[1]


def test_buffer_pool__smaller_than_the_data(server, tmp_path):
    server.sql("CREATE TABLE bulk AS SELECT seq, REPEAT('x', 4000) AS text FROM seq_1_to_4000; ANALYZE TABLE bulk")
    try:
        found = check(server, tmp_path)
    finally:
        server.sql("DROP TABLE bulk")
    assert wrong(found) == {"buffer pool"}
    assert "my.cnf: innodb_buffer_pool_size = 256M" in finding(found, "buffer pool")[1]


def test_index__that_is_missing_is_named_and_its_statement_mends_it(server, tmp_path):
    server.sql("ALTER TABLE spa DROP INDEX idx_spa_city; ALTER TABLE users DROP INDEX idx_users_email")
    lines = [text for kind, what, text in check(server, tmp_path) if (kind, what) == ("warn", "indexes")]
    assert [line.split(" ")[0] for line in lines] == ["idx_spa_city", "idx_users_email"]
    for line in lines:
        server.sql(re.search(r"CREATE .*;", line).group(0))
    assert wrong(check(server, tmp_path)) == set()
    assert server.value("SELECT GROUP_CONCAT(column_name ORDER BY seq_in_index) FROM information_schema.statistics "
                        "WHERE index_name = 'idx_spa_city'") == "is_active,city,name"
    assert server.value("SELECT non_unique FROM information_schema.statistics "
                        "WHERE index_name = 'idx_users_email'") == "0"


def test_migrations__that_are_pending(server, tmp_path):
    server.sql(f"CREATE DATABASE empty; GRANT ALL ON empty.* TO {USER}@'%'")
    try:
        found = check(server, tmp_path, DB_NAME="empty")
        assert wrong(found) == {"migrations"}
        assert re.match(r"(\d+) of \1 to be applied; ", finding(found, "migrations")[1])
        assert server.rows("SHOW TABLES", database="empty") == []
    finally:
        server.sql("DROP DATABASE empty")


class Slow:
    """The same server behind a line on which each piece of an answer takes its time."""

    def __init__(self, db, seconds):
        self.db, self.seconds = db, seconds

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        return self.listener.getsockname()[1]

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.db.port))
            for a, b, seconds in ((near, far, 0), (far, near, self.seconds)):
                threading.Thread(target=self._carry, args=(a, b, seconds), daemon=True).start()

    @staticmethod
    def _carry(a, b, seconds):
        try:
            while data := a.recv(65536):
                time.sleep(seconds)
                b.sendall(data)
        except OSError:
            pass
        for end in (a, b):
            end.close()


def test_round_trip__that_is_long(server, tmp_path):
    with Slow(server, 0.02) as port:
        found = check(server, tmp_path, DB_PORT=str(port))
    kind, text = finding(found, "round trip")
    assert kind == "warn" and float(text.split(" ")[0]) >= 20


def test_encryption__none_and_not_to_this_machine(server, tmp_path):
    """127.1 is this machine by another name, which the program does not know."""
    kind, text = finding(check(server, tmp_path, DB_HOST="127.1"), "encryption")
    assert kind == "warn" and "DB_SSL=True" in text


@pytest.mark.parametrize("version, kind, told", (
    ("10.5.23-MariaDB", "BAD", "upgrade"), ("10.6.16-MariaDB", "warn", "10.8"), ("10.8.2-MariaDB", "ok", "10.8.2"),
    ("5.7.44-log", "BAD", "upgrade"), ("8.0.11", "BAD", "8.0.16"), ("8.0.36-0ubuntu1", "ok", "MySQL 8.0.36"),
    ("nonsense", "warn", "cannot be read")))
def test_version__old_ones(server, tmp_path, version, kind, told):
    """A server can be told what to call itself."""
    server.stop()
    server.start(f"--version={version}")
    try:
        found = check(server, tmp_path, 1 if kind == "BAD" else 0)
    finally:
        server.restart()
    assert finding(found, "server")[0] == kind and told in finding(found, "server")[1]


# -- a server that is not to be had ----------------------------------------------------------------------------------

def test_database__wrong_password(server, tmp_path):
    found = check(server, tmp_path, 1, DB_PASSWORD="not this one")
    kind, text = finding(found, "database")
    assert kind == "BAD" and "Access denied" in text and "compare DB_USER and DB_PASSWORD" in text
    assert "not this one" not in str(found)


def test_database__no_server(server, tmp_path):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        kind, text = finding(check(server, tmp_path, 1, DB_PORT=str(nobody.getsockname()[1])), "database")
    assert kind == "BAD" and "start the server" in text


def test_database__that_does_not_exist(server, tmp_path):
    server.sql(f"GRANT ALL ON nowhere.* TO {USER}@'%'")
    kind, text = finding(check(server, tmp_path, 1, DB_NAME="nowhere"), "database")
    assert kind == "BAD" and "CREATE DATABASE" in text


def test_database__read_only(server, tmp_path):
    with Changed(server, read_only=1):
        kind, text = finding(check(server, tmp_path, 1), "database")
    assert kind == "BAD" and "is read-only" in text and "my.cnf: read_only = OFF" in text


def test_hosts__each_is_tried_alone(server, tmp_path):
    found = check(server, tmp_path, DB_HOST="127.0.0.1,127.0.0.9,localhost")
    hosts = [(kind, text) for kind, what, text in found if what == "host"]
    assert [kind for kind, _ in hosts] == ["ok", "warn", "ok"]
    assert hosts[0][1] == "127.0.0.1 answers, and can be written to"
    assert hosts[1][1].startswith("127.0.0.9: ") and "start the server" in hosts[1][1]
    assert finding(found, "database")[0] == "ok"
    with Changed(server, read_only=1):
        found = check(server, tmp_path, 1, DB_HOST="127.0.0.1,127.0.0.9")
    hosts = [(kind, text) for kind, what, text in found if what == "host"]
    assert [kind for kind, _ in hosts] == ["warn", "warn"] and "is read-only" in hosts[0][1]
    assert finding(found, "database")[0] == "BAD"


def test_secret__that_is_missing_is_bad(server, tmp_path):
    assert finding(check(server, tmp_path, 1, SECRET_KEY=""), "SECRET_KEY")[0] == "BAD"


# -- the start -------------------------------------------------------------------------------------------------------

def warnings_at_start(server, folder, **settings):
    """The warnings of a start that speak of max_connections."""
    node = harness.Server(folder, settings_of(server, MAX_WORKERS=2, **settings))
    del node.settings["DB_PATH"]
    with node:
        return [line for line in node.log().splitlines() if "max_connections" in line]


def test_start__a_server_with_too_little_room_is_one_warning(server, tmp_path):
    with Changed(server, max_connections=60):
        lines = warnings_at_start(server, tmp_path / "text")
        assert len(lines) == 1, lines
        assert " warning " in lines[0] or " warn " in lines[0]
        for told in ("room=59", "pool=50", "overflow=100", "max_connections=60", "held_by_others=0",
                     'my_cnf="max_connections = 200"'):
            assert told in lines[0], lines[0]
        assert warnings_at_start(server, tmp_path / "less", DB_POOL_SIZE=20, DB_MAX_OVERFLOW=39) == []


def test_start__enough_room_is_not_spoken_of(server, tmp_path):
    assert warnings_at_start(server, tmp_path) == []
