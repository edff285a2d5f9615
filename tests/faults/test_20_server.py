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
