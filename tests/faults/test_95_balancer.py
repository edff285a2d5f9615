# SPDX-License-Identifier: MIT
"""Four instances behind nginx and behind HAProxy, as shipped in deploy/: whatever happens to one of them, the clients
do not see it. Each of two hundred keeps its connection, over TLS, and checks every answer."""
import signal
import socket
import subprocess
import threading
from collections import Counter

import pytest

from authority import Authority
from balancer import INSTANCES, Fleet, Haproxy, Nginx
from crowd import Crowd
from harness import Closed, Lab, assert_problem, wait_for
from redis import Redis
from redis import available as redis_available
from service import LAB, make_lab_database, settings_of

pytestmark = pytest.mark.skipif(not (redis_available() and Nginx.available() and Haproxy.available()),
                                reason="there is no redis-tools, nginx-light or haproxy")

KINDS, NAMES = [Nginx, Haproxy], ["nginx", "haproxy"]
TARGETS = ["GET /api/spas", "GET /api/certificates/templates", "GET /api/certificates/public?limit=3"]
BEHIND = {"MAX_WORKERS": "1", "TRUSTED_PROXIES": "127.0.0.1", "REAL_IP_HEADER": "x-forwarded-for"}
CROWD = {"clients": 200, "pause": 0.25}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def fleet(mariadb, tmp_path_factory):
    """On one MariaDB and one Redis. The crowd comes from 127.0.0.1, which is not limited."""
    folder = tmp_path_factory.mktemp("fleet")
    with Redis(folder / "redis") as redis:
        settings = settings_of(mariadb, **redis.settings(), **BEHIND, DB_POOL_SIZE=5, DB_MAX_OVERFLOW=5,
                               RATE_LIMIT_ENABLED=True, RATE_LIMIT_PER_MINUTE=5, RATE_LIMIT_ALLOW="127.0.0.1")
        with Fleet(folder, settings) as running:
            for one in running.instances:
                wait_for(lambda one=one: one.metrics()["redis"]["up"] == 1, "Redis")
            yield running


@pytest.fixture(autouse=True)
def whole(fleet):
    fleet.heal()


@pytest.fixture(scope="module", params=KINDS, ids=NAMES)
def front(request, fleet, authority, tmp_path_factory):
    with request.param(tmp_path_factory.mktemp(request.param.program), fleet, authority) as running:
        yield running


@pytest.fixture(scope="module")
def haproxy(fleet, authority, tmp_path_factory):
    with Haproxy(tmp_path_factory.mktemp("haproxy"), fleet, authority) as running:
        yield running


def all_well(crowd):
    return crowd.whole() and set(crowd.statuses()) == {200}


# -- what happens to instances ----------------------------------------------------------------------------------------

def test_instance_killed_and_back__no_request_fails(fleet, front):
    with Crowd(front.port, *TARGETS, tls=front.tls, **CROWD) as crowd:
        crowd.answered(400)
        fleet[1].kill()
        crowd.answered(800)
        fleet[1].start()
        fleet.ready(fleet[1])
        before = fleet[1].metrics()["http"]["requests"]
        wait_for(lambda: fleet[1].metrics()["http"]["requests"] > before + 100, "it to be asked again")
    assert all_well(crowd), crowd.statuses()


def test_all_restarted_one_by_one__no_request_fails(fleet, front):
    with Crowd(front.port, *TARGETS, tls=front.tls, **CROWD) as crowd:
        crowd.answered(200)
        fleet.roll()
        crowd.answered(400)
    assert all_well(crowd), crowd.statuses()


def status(front):
    """None: closed without an answer, as HAProxy does after four connections that it had kept."""
    try:
        return front.get("/api/spas").status
    except Closed:
        return None


def test_all_away_and_back__the_first_request_is_answered(fleet, front):
    for one in fleet.instances:
        one.kill()
    wait_for(lambda: status(front) == 503, "it to notice")
    assert [front.get("/api/spas").status for _ in range(8)] == [503] * 8
    fleet.heal()
    assert [front.get("/api/spas").status for _ in range(8)] == [200] * 8


def test_all_reloaded__no_request_fails(fleet, front):
    """SIGHUP to each: all its workers are replaced."""
    with Crowd(front.port, *TARGETS, tls=front.tls, **CROWD) as crowd:
        crowd.answered(200)
        for one in fleet.instances:
            old = set(one.workers())
            one.process.send_signal(signal.SIGHUP)
            wait_for(lambda: "ignored signal=HUP" in one.log() or not old & set(one.workers()), "other workers")
            if "ignored signal=HUP" in one.log():
                pytest.skip("this version does not reload")
            fleet.ready(one)
        crowd.answered(400)
    assert all_well(crowd), crowd.statuses()


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_all_restarted_one_by_one__no_write_is_lost_or_done_twice(kind, mariadb, authority, tmp_path):
    """The small application, which notes the id of each request."""
    make_lab_database(mariadb)
    settings = settings_of(mariadb, **BEHIND, DB_NAME=LAB, DB_POOL_SIZE=5, DB_MAX_OVERFLOW=5)
    with Fleet(tmp_path, settings, Lab) as fleet, kind(tmp_path / kind.program, fleet, authority) as front:
        with Crowd(front.port, "POST /note", "GET /count/now", tls=front.tls, **CROWD) as crowd:
            crowd.answered(200)
            fleet.roll()
            crowd.answered(200)
    assert all_well(crowd), crowd.statuses()
    noted = [row["text"] for row in mariadb.rows("SELECT text FROM notes", LAB)]
    assert sorted(noted) == sorted(answer.id for answer in crowd.of("POST"))


class Breaker:
    """An instance that reads a request and breaks off."""

    def __init__(self):
        self.instances, self.requests = [self] * INSTANCES, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.settings = {"PORT": str(self.port)}
        self.thread = threading.Thread(target=self.serve)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()

    def serve(self):
        try:
            while True:
                with self.listener.accept()[0] as connection:
                    self.requests.append(connection.recv(65536).decode().partition(" HTTP/")[0])
        except OSError:
            pass


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_instance_breaks_off__a_read_is_repeated_and_a_write_is_not(kind, authority, tmp_path):
    with Breaker() as breaker, kind(tmp_path / kind.program, breaker, authority) as front:
        for method, times in [("POST", 1), ("GET", 4)]:
            with front.connect() as wire:
                told = wire.request(method, "/api/spas")
            assert_problem(told, 502)
            assert told.header("Retry-After") is None
            assert breaker.requests.count(f"{method} /api/spas") == times


# -- what the instances are told ----------------------------------------------------------------------------------------

def test_connections_to_instances__are_kept(fleet, front):
    with Crowd(front.port, *TARGETS, tls=front.tls, **CROWD) as crowd:
        crowd.answered(400)
        opened, asked = fleet.total("connections", "accepted"), len(crowd.answers)
        crowd.answered(1000)
        opened, asked = fleet.total("connections", "accepted") - opened, len(crowd.answers) - asked
    assert all_well(crowd)
    assert opened < asked / 4, f"{opened} connections for {asked} requests"


def test_client_address__is_limited_and_cannot_be_invented(fleet, front):
    """Five a minute of one address, whichever instance is asked, whatever the client says of itself."""
    last = {"nginx": 10, "haproxy": 20}[front.program]
    statuses = Counter()
    for number in range(8):
        invented = f"203.0.113.{number}"
        told = front.get("/api/spas", {"X-Forwarded-For": invented, "X-Real-IP": invented, "Forwarded": f"for={invented}"},
                         source=f"127.0.0.{last}")
        statuses[told.status] += 1
    assert statuses == {200: 5, 429: 3}
    assert front.get("/api/spas", source=f"127.0.0.{last + 1}").status == 200


def test_request_id__a_sane_one_stays(front):
    assert front.get("/api/spas", {"X-Request-Id": "mine-1"}).header("X-Request-Id") == "mine-1"
    ours = front.get("/api/spas", {"X-Request-Id": "<script>"}).header("X-Request-Id")
    assert ours and "<" not in ours


# -- what the clients are told ------------------------------------------------------------------------------------------

def curl(front, *arguments):
    done = subprocess.run(["/usr/bin/curl", "--silent", "--show-error", "--cacert", str(front.authority),
                           "--noproxy", "*", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_http2(front):
    told = curl(front, "--http2", "--compressed", "--output", "/dev/null", "--write-out",
                "%{http_version} %{response_code} %header{content-encoding} %header{strict-transport-security}",
                f"https://localhost:{front.port}/api/certificates/templates", "--header", "Accept-Encoding: br")
    assert told == "2 200 br max-age=31536000"


def test_plain_http__is_sent_to_https(front):
    told = curl(front, "--request", "POST", "--output", "/dev/null", "--write-out", "%{response_code} %{redirect_url}",
                f"http://127.0.0.1:{front.plain_port}/api/spas?city=Pune")
    assert told == "308 https://127.0.0.1/api/spas?city=Pune"


def test_metrics__are_not_for_the_world(front):
    assert front.get("/metrics").status == 404


def test_body_too_large__is_refused_in_our_words(front):
    with front.connect() as wire:
        wire.send(b"POST /api/spas HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n")
        assert_problem(wire.response(), 413)


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_nobody_there__is_told_in_our_words(kind, authority, tmp_path):
    empty = Fleet(tmp_path, BEHIND)
    with kind(tmp_path / kind.program, empty, authority) as front:
        for method in ("GET", "POST"):
            with front.connect() as wire:
                told = wire.request(method, "/api/spas")
                assert_problem(told, 503)
                assert told.header("Retry-After") == "1"


# -- HAProxy's checks ---------------------------------------------------------------------------------------------------

def test_haproxy__takes_out_what_is_stopped(fleet, haproxy):
    wait_for(lambda: set(haproxy.states().values()) == {"UP"}, "all to be up")
    fleet[2].stop()
    wait_for(lambda: haproxy.states()["three"] == "DOWN", "the check to fail")
    assert haproxy.states("sanad_writes")["three"] == "DOWN"
    fleet[2].start()
    wait_for(lambda: haproxy.states()["three"] == "UP", "the check to pass")


def test_haproxy__sends_nothing_to_what_is_drained(fleet, haproxy):
    wait_for(lambda: set(haproxy.states().values()) == {"UP"}, "all to be up")
    haproxy.command("set server sanad/four state drain")
    assert {haproxy.states(backend)["four"] for backend in ("sanad", "sanad_writes")} == {"DRAIN"}
    asked = {}

    def requests(number):
        return fleet[number].metrics()["http"]["requests"]

    with Crowd(haproxy.port, *TARGETS, tls=haproxy.tls, **CROWD) as crowd:
        crowd.answered(400)
        asked = {number: requests(number) for number in (0, 3)}
        crowd.answered(600)
        asked = {number: requests(number) - before for number, before in asked.items()}
    assert all_well(crowd)
    assert asked[0] > 100 and asked[3] < 50, asked      # checks, and the two of ours
    haproxy.command("set server sanad/four state ready")
    wait_for(lambda: haproxy.states()["four"] == "UP", "it to be back")


def test_haproxy__asks_all_the_same_when_none_is_ready(mariadb, fleet, haproxy):
    mariadb.kill()
    try:
        wait_for(lambda: set(haproxy.states().values()) == {"DOWN"}, "all to be without a database")
        assert haproxy.get("/health").status == 200
        told = assert_problem(haproxy.get("/api/certificates/public?skip=17&limit=1"), 503)
        assert told["request_id"], "it was not HAProxy who said so"
    finally:
        mariadb.start()
    wait_for(lambda: set(haproxy.states().values()) == {"UP"}, "all to be well again")
    assert haproxy.get("/api/spas").status == 200
