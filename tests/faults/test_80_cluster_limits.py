# SPDX-License-Identifier: MIT
"""The limiter of several nodes, through one Redis: together they let through exactly the limit, and when Redis is away
each goes on alone, without an error or a stall for anybody."""
import threading
import time
from collections import Counter

import pytest

import harness
from harness import Server, wait_for
from redis import Redis, available

pytestmark = pytest.mark.skipif(not available(), reason="there is no redis-tools")

TARGET = "/api/spas"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return harness.make_database(tmp_path_factory.mktemp("demo"), 200)


@pytest.fixture
def redis(tmp_path):
    with Redis(tmp_path / "redis") as running:
        yield running


@pytest.fixture
def node(redis, demo, tmp_path):
    """node(name, SETTING=value): a server that shares its limits through Redis."""
    started = []

    def start(name, **settings):
        more = {key: str(value) for key, value in settings.items()}
        running = Server(tmp_path / name, {"RATE_LIMIT_ENABLED": "True", "MAX_WORKERS": "4", **redis.settings(), **more}, demo)
        started.append(running)
        running.start()
        wait_for(lambda: running.metrics()["redis"]["up"] == int(running.settings["MAX_WORKERS"]), "Redis")
        return running

    yield start
    for running in started:
        if running.process is not None and running.process.poll() is None:
            running.stop()


def ask_many(nodes, threads, each, headers=None):
    statuses, barrier = [], threading.Barrier(threads)

    def ask(mine):
        got = []
        barrier.wait()
        for at in range(0, each, 5):
            with nodes[(mine + at // 5) % len(nodes)].connect() as wire:
                got += [wire.request("GET", TARGET, headers or {}).status for _ in range(min(5, each - at))]
        statuses.extend(got)

    crew = [threading.Thread(target=ask, args=(i,)) for i in range(threads)]
    for one in crew:
        one.start()
    for one in crew:
        one.join()
    return Counter(statuses)


def limits(server):
    return server.metrics()["limits"]


def test_two_nodes__let_through_exactly_the_limit_together(node):
    nodes = [node("a"), node("b")]
    answers = ask_many(nodes, 8, 125)
    alone = sum(limits(one)["fallbacks"] for one in nodes)
    if alone == 0:                       # on a machine that is slow for once, Redis may be late
        assert answers == {200: 60, 429: 940}
    assert answers[200] <= 60 + alone and answers[200] + answers[429] == 1000
    assert alone < 100


def test_answer__counts_what_other_nodes_let_through(node):
    a, b = node("a", RATE_LIMIT_PER_MINUTE=5), node("b", RATE_LIMIT_PER_MINUTE=5)
    told = [one.get(TARGET) for one in (a, b, a, b, a, b)]
    assert [answer.status for answer in told] == [200] * 5 + [429]
    assert [answer.header("X-RateLimit-Remaining") for answer in told] == ["4", "3", "2", "1", "0", "0"]
    assert 0 < int(told[-1].header("Retry-After")) <= 61
    assert 'q=5;w=60' in told[0].header("RateLimit-Policy") and '"minute";r=4;t=6' in told[0].header("RateLimit")


def test_redis_gone__the_node_goes_on_with_what_it_knows(node, redis):
    a = node("a", RATE_LIMIT_PER_MINUTE=10, MAX_WORKERS=2)
    assert [a.get(TARGET).status for _ in range(4)] == [200] * 4
    redis.kill()
    wait_for(lambda: a.metrics()["redis"]["up"] == 0, "the loss to be noticed")
    assert [a.get(TARGET).status for _ in range(8)] == [200] * 6 + [429] * 2
    ready = a.get("/health/ready")
    assert ready.status == 200 and ready.json()["status"] == "warn"
    assert ready.json()["checks"]["redis:connection"][0]["status"] == "warn"
    assert limits(a)["fallbacks"] >= 8
    redis.start()
    wait_for(lambda: a.metrics()["redis"]["up"] == 2, "Redis to be used again")
    before = limits(a)["fallbacks"]
    assert a.get(TARGET).status == 200, "Redis has lost all, and its word counts"
    assert limits(a)["fallbacks"] == before
    assert a.get("/health/ready").json()["checks"]["redis:connection"][0]["status"] == "pass"


def trouble(redis, name):
    """Does something to Redis that it must not matter; what undoes it."""
    if name == "killed":
        redis.kill()
        return redis.start
    if name == "paused":
        redis.pause()
        return redis.resume
    if name == "flushed":
        redis.cli("FLUSHALL")
        redis.cli("SCRIPT", "FLUSH")
        return lambda: None
    if name == "read-only":
        redis.cli("REPLICAOF", "127.0.0.1", "1")
        return lambda: redis.cli("REPLICAOF", "NO", "ONE")
    if name == "filled":
        redis.configure(maxmemory="1")
        return lambda: redis.configure(maxmemory="0")
    assert name == "wrong types"
    for key in redis.cli("KEYS", "*limit*").split():
        redis.cli("DEL", key)
        redis.cli("LPUSH", key, "not a number")
    return lambda: redis.cli("FLUSHALL")


@pytest.mark.parametrize("name", ["killed", "paused", "flushed", "read-only", "filled", "wrong types"])
def test_trouble__fails_no_request(node, redis, name):
    a = node("a", RATE_LIMIT_PER_MINUTE=100000, RATE_LIMIT_PER_HOUR=1000000, MAX_WORKERS=2)
    statuses, going, slowest = Counter(), [True], [0.0]

    def ask():
        with a.connect() as wire:
            while going[0]:
                began = time.monotonic()
                statuses[wire.get(TARGET).status] += 1
                slowest[0] = max(slowest[0], time.monotonic() - began)

    def more(count):
        goal = sum(statuses.values()) + count
        wait_for(lambda: sum(statuses.values()) >= goal, "more answers")

    crew = [threading.Thread(target=ask) for _ in range(16)]
    for one in crew:
        one.start()
    try:
        more(300)
        undo = trouble(redis, name)
        more(300)
        time.sleep(0.5)
        undo()
        more(300)
    finally:
        going[0] = False
        for one in crew:
            one.join()
    assert set(statuses) == {200}
    assert slowest[0] < harness.PATIENCE / 4, "somebody waited for Redis"
    wait_for(lambda: a.metrics()["redis"]["up"] == 2, "Redis to be used again")
    before = limits(a)["fallbacks"]
    assert wait_for(lambda: a.get(TARGET).header("RateLimit") and limits(a)["fallbacks"] == before or None, "it to decide")


@pytest.mark.parametrize("value", ["", "x", "\\xc1", "\\x93\\x01\\x02\\x03", "{}", "y" * 9000], ids=range(6))
def test_poison__counts_as_nothing(node, redis, value):
    a = node("a", RATE_LIMIT_PER_MINUTE=3, MAX_WORKERS=1)
    a.get(TARGET)
    key = redis.cli("KEYS", "*limit*").split()[0]
    redis.cli("SET", key, value)
    assert [a.get(TARGET).status for _ in range(4)] == [200] * 3 + [429]
    assert limits(a)["fallbacks"] == 0


def test_keys__are_ours_and_do_not_stay(node, redis):
    a = node("a")
    a.get(TARGET)
    keys = redis.cli("KEYS", "*").split()
    assert keys and all(key.startswith("sanad:") for key in keys)
    assert all(0 < int(redis.cli("PTTL", key)) <= 3720000 for key in keys if ":limit:" in key)


# -- what the operator is told ----------------------------------------------------------------------------------------

def checked(demo, folder, redis, **settings):
    return harness.sanad(folder, "check", settings={"DB_PATH": demo, "PORT": "0", **redis.settings(), **settings}, status=None)


def test_check__says_whether_redis_answers(demo, redis, tmp_path):
    assert "ok      redis" in checked(demo, tmp_path, redis).stdout
    redis.kill()
    away = checked(demo, tmp_path, redis)
    assert "warn    redis" in away.stdout and "limits and caches for itself" in away.stdout


def test_check__refuses_tls_that_it_does_not_have(demo, redis, tmp_path):
    told = checked(demo, tmp_path, redis, REDIS_URL="rediss://127.0.0.1:1")
    assert "BAD     REDIS_URL" in told.stdout and "stunnel" in told.stdout
    assert told.returncode == 1


def test_the_configuration_that_we_ship__serves(demo, tmp_path):
    """deploy/redis.conf, with a user that may do no more than it says there."""
    shipped = (harness.ROOT / "deploy" / "redis.conf").read_text()
    acl = next(line for line in shipped.splitlines() if line.startswith("# user sanad")).removeprefix("# ")
    folder = tmp_path / "redis"
    folder.mkdir()
    (folder / "ours.conf").write_text("".join(line + "\n" for line in shipped.splitlines()
                                              if not line.startswith(("bind", "port"))) + acl + "\n")
    with Redis(folder, config=folder / "ours.conf") as running:
        url = running.url(user="sanad", password="CHANGE-ME")
        settings = {"RATE_LIMIT_ENABLED": "True", "RATE_LIMIT_PER_MINUTE": "2", **running.settings(), "REDIS_URL": url}
        with Server(tmp_path / "node", settings, demo) as server:
            wait_for(lambda: server.metrics()["redis"]["up"] == 2, "Redis")
            assert [server.get(TARGET).status for _ in range(3)] == [200, 200, 429]
            assert limits(server)["fallbacks"] == 0
