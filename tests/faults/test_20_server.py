# SPDX-License-Identifier: MIT
"""The service on MariaDB: the same answers as on the embedded database, and what it does when the server fails."""
import threading
import time

import pytest

import harness
from harness import assert_problem, sanad, wait_for
from mariadb import MariaDB, available
from service import CERTIFICATES, SEED, settings_of

pytestmark = pytest.mark.skipif(not available(), reason="there is no mariadb-server")

TARGETS = [
    "/api/certificates/templates", "/api/certificates/templates?category=id_card&variant=modern",
    "/api/certificates/templates/7", "/api/certificates/templates/by-category/offer_letter",
    "/api/certificates/public?limit=100", "/api/certificates/public?limit=37&skip=400",
    "/api/certificates/public?category=spa_therapist&limit=100", "/api/certificates/public?category=id_card&skip=5",
    "/api/spas?limit=100", "/api/spas?limit=3&skip=2",
]


def walk(server, target, pages):
    """The rows of so many pages by cursor."""
    rows = []
    with server.connect() as wire:
        while target and pages:
            answer = wire.get(target)
            assert answer.status == 200, answer
            rows += answer.json()
            target, pages = answer.links().get("next"), pages - 1
    return rows


# -- the same service ------------------------------------------------------------------------------------------------

def test_answers__are_those_of_the_embedded_database(serve, tmp_path):
    path = harness.make_database(tmp_path, CERTIFICATES, SEED)
    with harness.Server(tmp_path / "embedded", {"CACHE_ENABLED": "False"}, path) as embedded:
        server = serve(CACHE_ENABLED=False)
        for target in TARGETS:
            ours, theirs = server.get(target), embedded.get(target)
            assert ours.status == theirs.status == 200, (target, ours, theirs)
            assert ours.json() == theirs.json(), target
        for target in ("/api/certificates/public?limit=50", "/api/certificates/public?category=offer_letter&limit=9"):
            assert walk(server, target, 100) == walk(embedded, target, 100)
        code = walk(server, "/api/certificates/public?limit=1", 1)[0]["code"]
        assert server.get(f"/api/certificates/{code}").json() == embedded.get(f"/api/certificates/{code}").json()
        assert_problem(server.get("/api/certificates/नमस्ते".encode().decode("latin-1")), {400, 404})


def test_migrate__once_though_several_start_at_once(tmp_path):
    with MariaDB(tmp_path) as db:
        threads = [threading.Thread(target=lambda: outcomes.append(sanad(tmp_path, "migrate", settings=settings_of(db))))
                   for _ in range(4)]
        outcomes = []
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum("applied 0001" in done.stdout for done in outcomes) == 1
        assert len(outcomes) == 4
        assert db.value("SELECT COUNT(*) FROM schema_migrations") == "1"


def test_settings__that_are_missing_are_named(tmp_path):
    for given, missing in (({"DB_DRIVER": "mysql"}, "DB_HOST"), ({"DB_HOST": "127.0.0.1"}, "DB_NAME"),
                           ({"DB_HOST": "127.0.0.1", "DB_NAME": "x"}, "DB_USER")):
        done = sanad(tmp_path, "serve", settings=given, status=78)
        assert missing in done.stderr


def test_start__without_a_secret_key_is_refused(mariadb, tmp_path):
    done = sanad(tmp_path, "serve", settings={**mariadb.settings(), "PORT": "0"}, status=1)
    assert "SECRET_KEY" in done.stderr


def test_start__with_a_wrong_password_says_so_without_it(mariadb, tmp_path):
    done = sanad(tmp_path, "serve", settings=settings_of(mariadb, DB_PASSWORD="not this one", PORT=0), status=1)
    assert "Access denied" in done.stderr and "not this one" not in done.stderr


# -- a server that fails ------------------------------------------------------------------------------------------------

class Clients:
    """Threads that ask again and again; every answer is kept."""

    def __init__(self, server, target, count):
        self.server, self.target, self.going = server, target, True
        self.statuses, self.broken = [], []
        self.threads = [threading.Thread(target=self._ask) for _ in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.going = False
        for thread in self.threads:
            thread.join()

    def _ask(self):
        try:
            with self.server.connect() as wire:
                while self.going:
                    self.statuses.append(wire.get(self.target).status)
        except (OSError, harness.Closed) as problem:
            self.broken.append(problem)

    def answered(self, more):
        """Waits until so many more were answered."""
        goal = len(self.statuses) + more
        wait_for(lambda: len(self.statuses) >= goal or self.broken, f"{more} more answers")


def test_server_killed__503_until_it_is_back_and_no_restart_of_ours(serve, mariadb):
    server = serve(CACHE_ENABLED=False)
    with Clients(server, "/api/certificates/public?limit=5", 20) as clients:
        clients.answered(200)
        mariadb.kill()
        clients.answered(200)
        mariadb.start()
        wait_for(lambda: server.get("/api/spas").status == 200, "the service to find the server again")
        before = len(clients.statuses)
        clients.answered(200)
        after = clients.statuses[before + 100:]
    assert not clients.broken
    assert set(clients.statuses) <= {200, 503}
    assert set(after) == {200}
    assert server.metrics()["workers"][0]["restarts"] == 0


def test_server_away__the_last_good_copy_is_served(serve, mariadb):
    server = serve(CACHE_TTL="0.2", MAX_WORKERS=1)
    good = server.get("/api/certificates/templates")
    assert good.status == 200
    mariadb.kill()
    try:
        time.sleep(0.5)
        stale = server.get("/api/certificates/templates")
        assert stale.status == 200 and stale.body == good.body and stale.header("Age") is not None
        refused = server.get(f"/api/certificates/{'0' * 26}0")
        assert refused.status in (404, 503)
        away = server.get("/api/spas")
        assert_problem(away, 503)
        assert int(away.header("Retry-After")) >= 1
        wait_for(lambda: server.get("/health/ready").status == 503, "readiness to notice")
        assert server.get("/health").status == 200
    finally:
        mariadb.start()
    wait_for(lambda: server.get("/api/spas").status == 200, "recovery")
    wait_for(lambda: server.get("/health/ready").status == 200, "readiness to notice")


def test_connection_killed__one_request_at_most_fails(serve, mariadb):
    server = serve(CACHE_ENABLED=False)
    with Clients(server, "/api/certificates/public?limit=5", 10) as clients:
        clients.answered(200)
        for _ in range(10):
            ours = [row["id"] for row in mariadb.rows("SELECT id FROM information_schema.processlist WHERE user = 'sanad'")]
            mariadb.sql(f"KILL {ours[0]}") if ours else None
            clients.answered(50)
    assert not clients.broken
    assert clients.statuses.count(503) + clients.statuses.count(500) <= 40, "a broken connection broke others"
    assert set(clients.statuses[-20:]) == {200}


def test_server_paused__health_answers_and_all_recover(serve, mariadb):
    server = serve(CACHE_ENABLED=False, DB_POOL_TIMEOUT="1")
    assert server.get("/api/spas").status == 200
    mariadb.pause()
    try:
        waiting = threading.Thread(target=lambda: server.get("/api/spas"))
        waiting.start()
        for _ in range(20):
            assert server.get("/health").status == 200
    finally:
        mariadb.resume()
    waiting.join()
    wait_for(lambda: server.get("/api/spas").status == 200, "recovery")


def test_idle_connections_closed_by_the_server__nobody_notices(serve, mariadb):
    server = serve(CACHE_ENABLED=False, MAX_WORKERS=1)
    with Clients(server, "/api/spas", 8) as clients:
        clients.answered(100)
    mariadb.sql("SET GLOBAL wait_timeout = 1")
    ours = mariadb.rows("SELECT id FROM information_schema.processlist WHERE user = 'sanad'")
    for row in ours:
        mariadb.sql(f"KILL {row['id']}")
    for _ in range(30):
        assert server.get("/api/spas").status == 200
    mariadb.sql("SET GLOBAL wait_timeout = 600")
