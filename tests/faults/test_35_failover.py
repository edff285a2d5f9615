# SPDX-License-Identifier: MIT
"""Two servers, each a replica of the other, of which one may be written to: the service goes where that is.

A server that is made read-only, or killed, costs the requests that are under way there. What was acknowledged is on
the other one, and nothing is stored twice.
"""
import socket
import threading
import time

import pytest

from crowd import Crowd
from harness import Lab, sanad, wait_for
from mariadb import USER, MariaDB, available
from service import settings_of

pytestmark = pytest.mark.skipif(not available(), reason="there is no mariadb-server")

FIRST, SECOND, NOBODY = "127.0.0.1", "127.0.0.2", "127.0.0.3"
CLIENTS = 100
WORK = ["POST /note", "POST /transfer", "GET /count/now"]


def replicated(number):
    """Options of a server that writes a log for the other and reads the other's."""
    return {"server_id": number, "log_bin": "log", "log_slave_updates": "ON", "sync_binlog": 0,
            "auto_increment_increment": 2, "auto_increment_offset": number,
            "rpl_semi_sync_slave_enabled": "ON", "rpl_semi_sync_master_wait_point": "AFTER_SYNC",
            "rpl_semi_sync_master_timeout": 100_000}


class Pair:
    """The first is written to, until switch()."""

    def __init__(self, folder):
        self.first = MariaDB(folder / "first", FIRST, **replicated(1))
        self.second = MariaDB(folder / "second", SECOND, self.first.port, **replicated(2))

    def __enter__(self):
        for server in (self.first, self.second):
            server.start()
            server.sql("CREATE USER replica; GRANT REPLICATION SLAVE ON *.* TO replica; RESET MASTER")
        for server, other in ((self.first, self.second), (self.second, self.first)):
            server.sql(f"CHANGE MASTER TO master_host='{other.address}', master_port={other.port},"
                       "master_user='replica', master_connect_retry=1, master_use_gtid=slave_pos; START SLAVE")
        self.second.sql("SET GLOBAL read_only = 1")
        return self

    def __exit__(self, *_):
        self.first.close()
        self.second.close()

    def settings(self, **more):
        return settings_of(self.first, DB_HOST=f"{FIRST},{SECOND}", CACHE_ENABLED=False, **more)

    @staticmethod
    def catch_up(server, other):
        """Waits until a server has all that the other has stored."""
        place = other.value("SELECT @@gtid_current_pos")
        assert server.value(f"SELECT MASTER_GTID_WAIT('{place}', 60)") == "0"

    @staticmethod
    def has_applied_all(server):
        """Whether a server has done all that it heard from the other."""
        status = server.rows("SHOW SLAVE STATUS")[0]
        assert status["Last_SQL_Errno"] == "0", status["Last_SQL_Error"]
        return status["Exec_Master_Log_Pos"] == status["Read_Master_Log_Pos"]

    def switch(self, old, new):
        """As an operator does it: nobody writes for a moment."""
        old.sql("SET GLOBAL read_only = 1")
        self.catch_up(new, old)
        new.sql("SET GLOBAL read_only = 0")


@pytest.fixture
def pair(tmp_path):
    with Pair(tmp_path) as servers:
        yield servers


def users(server):
    """How many connections of the service a server has."""
    return int(server.value(f"SELECT COUNT(*) FROM information_schema.processlist WHERE user = '{USER}'"))


def own_writes(server):
    """Where the log of a server is, of what was written there and not at the other."""
    positions = dict(place.rsplit("-", 1) for place in server.value("SELECT @@gtid_binlog_state").split(","))
    return positions.get(f"0-{server.options['server_id']}")


def assert_stored_once(crowd, server):
    """All that was acknowledged is there; nothing that was done was done again (its id would be there already)."""
    assert set(crowd.statuses()) <= {200, 503}
    stored = {row["text"] for row in server.rows("SELECT text FROM notes")}
    kept = {answer.id for answer in crowd.of("POST") if answer.status == 200}
    assert kept <= stored, f"{len(kept - stored)} of {len(kept)} acknowledged writes are lost"
    assert server.value("SELECT SUM(balance) FROM accounts") == "0"


# -- a server that may no more be written to ----------------------------------------------------------------------------

def test_read_only__switched_on_moves_all_work_to_the_other_and_back(pair, tmp_path):
    first, second = pair.first, pair.second
    with Lab(tmp_path / "lab", pair.settings()) as lab:
        with Crowd(lab.port, *WORK, clients=CLIENTS) as crowd:
            crowd.well()
            pair.switch(first, second)
            written = own_writes(first)
            calm = crowd.well()
            wait_for(lambda: users(first) == 0, "all connections to leave the first")
            crowd.answered(10 * CLIENTS)
            over = time.monotonic()
            assert own_writes(first) == written, "a server that is read-only was written to"
            pair.switch(second, first)
            crowd.well()
            wait_for(lambda: users(second) == 0, "all connections to leave the second")
        assert crowd.whole()
        assert set(crowd.statuses(since=calm, until=over)) == {200}
    pair.catch_up(second, first)
    for server in (first, second):
        assert_stored_once(crowd, server)


@pytest.fixture
def apart(pair):
    """The two no longer follow each other: the counter tells which of them was read."""
    def part():
        pair.catch_up(pair.second, pair.first)
        for server in (pair.first, pair.second):
            server.sql("STOP SLAVE")
        pair.second.sql("UPDATE counter SET value = 1000; SET GLOBAL read_only = 0")
        pair.first.sql("SET GLOBAL read_only = 1")
    return part


def test_read_only__is_noticed_by_those_who_only_read(pair, apart, tmp_path):
    """Also where no connection is ever idle, or asked for a sign of life."""
    with Lab(tmp_path / "lab", pair.settings(DB_POOL_PRE_PING=False)) as lab:
        with Crowd(lab.port, "GET /count/now", clients=20, pause=0.02) as crowd:
            crowd.well()
            assert users(pair.first) > 0 and users(pair.second) == 0
            apart()
            wait_for(lambda: users(pair.first) == 0, "the readers to leave the first")
        assert crowd.whole()
        assert set(crowd.statuses()) == {200}, "a reader was refused"
        assert lab.get("/count/now").json()["value"] == 1000


def test_read_only__is_noticed_before_an_idle_connection_is_read_from(pair, apart, tmp_path):
    with Lab(tmp_path / "lab", pair.settings()) as lab:
        with Crowd(lab.port, "GET /count/now", clients=20, pause=0.02) as crowd:
            crowd.well()
        apart()
        time.sleep(0.6)                  # longer than a connection is trusted
        for _ in range(10):
            assert lab.get("/count/now").json()["value"] == 1000


# -- a server that is gone --------------------------------------------------------------------------------------------------

def test_killed__costs_what_was_under_way(pair, tmp_path):
    """Both may be written to (new rows only, that is); a commit is acknowledged when the other has it."""
    first, second = pair.first, pair.second
    first.sql("SET GLOBAL rpl_semi_sync_master_enabled = ON")
    second.sql("SET GLOBAL read_only = 0")
    with Lab(tmp_path / "lab", pair.settings()) as lab:
        with Crowd(lab.port, "POST /note", "GET /count/now", clients=CLIENTS) as crowd:
            crowd.well()
            assert users(second) == 0
            first.kill()
            calm = crowd.well()
            crowd.answered(5 * CLIENTS)
        assert crowd.whole()
        assert set(crowd.statuses(since=calm)) == {200}
        assert crowd.statuses()[503] <= CLIENTS, "more failed than were under way"
    wait_for(lambda: pair.has_applied_all(second), "the second to do what the first had told it")
    assert_stored_once(crowd, second)


def test_killed__and_back_is_not_returned_to_while_the_other_serves(pair, tmp_path):
    first, second = pair.first, pair.second
    second.sql("SET GLOBAL read_only = 0")
    with Lab(tmp_path / "lab", pair.settings(MAX_WORKERS=1, DB_POOL_RECYCLE=1)) as lab:
        with Crowd(lab.port, "GET /count/now", clients=20, pause=0.02) as crowd:
            crowd.well()
            first.kill()
            crowd.well()
            first.start()
            before = lab.metrics()["pool"]["opened"]
            wait_for(lambda: lab.metrics()["pool"]["opened"] > before + 20, "new connections")
            assert users(first) == 0


# -- hosts ---------------------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def anywhere(tmp_path_factory):
    """A server on several addresses."""
    with MariaDB(tmp_path_factory.mktemp("anywhere"), address=f"{SECOND},::1") as db:
        yield db


@pytest.mark.parametrize("hosts", [f"{NOBODY},{SECOND}", f"nowhere.invalid,{SECOND}", f"{NOBODY},::1", "::1",
                                   f"nowhere.invalid,{NOBODY},{SECOND}"])
def test_hosts__the_first_that_answers(anywhere, tmp_path, hosts):
    sanad(tmp_path, "migrate", settings=settings_of(anywhere, DB_HOST=hosts))


def test_hosts__that_all_fail_are_all_named(anywhere, tmp_path):
    said = sanad(tmp_path, "migrate", settings=settings_of(anywhere, DB_HOST=f"nowhere.invalid,{NOBODY}"), status=1)
    assert "nowhere.invalid" in said.stderr and NOBODY in said.stderr


def test_hosts__of_which_none_may_be_written_to(anywhere, tmp_path):
    anywhere.sql("SET GLOBAL read_only = 1")
    said = sanad(tmp_path, "migrate", settings=settings_of(anywhere, DB_HOST=f"{NOBODY},{SECOND}"), status=1).stderr
    anywhere.sql("SET GLOBAL read_only = 0")
    assert f"{SECOND}: the server is read-only" in said


class Mute:
    """Accepts connections and says nothing; counts them."""

    def __init__(self, address, port):
        self.listener = socket.create_server((address, port))
        self.clients = []
        self.thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def _accept(self):
        while True:
            try:
                self.clients.append(self.listener.accept()[0])
            except OSError:
                return

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()
        for client in self.clients:
            client.close()


def test_hosts__one_that_is_mute_is_not_asked_again_by_each_connection(anywhere, tmp_path):
    anywhere.sql("DROP DATABASE sanad; CREATE DATABASE sanad", database=None)
    with Mute(NOBODY, anywhere.port) as mute:
        settings = settings_of(anywhere, DB_HOST=f"{NOBODY},{SECOND}", MAX_WORKERS=1, CACHE_ENABLED=False)
        with Lab(tmp_path, settings) as lab:
            before = len(mute.clients)
            with Crowd(lab.port, "GET /nap?ms=50", clients=30) as crowd:
                crowd.well()
                wait_for(lambda: users(anywhere) >= 15, "the pool to grow")
        assert len(mute.clients) <= before + 4, "more than a pool opens at once"
        assert set(crowd.statuses()) == {200}
