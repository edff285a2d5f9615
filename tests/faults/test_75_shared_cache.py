# SPDX-License-Identifier: MIT
"""The second level of the response cache, in Redis: two servers on one database see each other's writes, one takes what
another has made, and nothing that becomes of Redis is seen in an answer."""
import re
import threading
import time

import pytest

import harness
from harness import wait_for
from redis import Redis, available
from service import KEY

pytestmark = pytest.mark.skipif(not available(), reason="there is no redis-tools")

SEEN_WITHIN = 2                 # seconds: the bound is 50 ms, on a machine that is not busy with other tests
TAG = "sanad:cache:tag:0"       # of the counter


class Lab(harness.Lab):
    """One of several nodes; its database is the folder's above."""

    def __init__(self, folder, redis, **settings):
        super().__init__(folder, {**redis.settings(), "SECRET_KEY": KEY, "DB_PATH": str(folder.parent / "counter.db"),
                                  "LOG_LEVEL": "debug", **{name: str(value) for name, value in settings.items()}})

    def wait(self, status=0):
        super().wait(status)
        assert "left with open handles" not in self.log()

    def up(self):
        """Until each worker uses Redis."""
        workers = int(self.settings["MAX_WORKERS"])
        wait_for(lambda: self.metric("redis_client_up") == workers, "each worker to use Redis")
        return self

    def metric(self, name):
        text = self.get("/metrics?format=prometheus").body.decode()
        return float(re.search(rf"^{name} (\S+)$", text, re.M).group(1))

    def shared(self, what):
        return self.metrics()["cache"][f"shared_{what}"]

    def read(self, target="/count"):
        answer = self.get(target)
        assert answer.status == 200, answer
        return answer.json()["value"]

    def write(self):
        answer = self.request("POST", "/count")
        assert answer.status == 200, answer
        return answer.json()["value"]


@pytest.fixture(scope="module")
def shared_redis(tmp_path_factory):
    with Redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def redis(shared_redis):
    """A server that runs and is empty, whatever the last test did to it."""
    if shared_redis.process.poll() is not None:
        shared_redis.start()
    shared_redis.resume()
    shared_redis.cli("FLUSHALL")
    return shared_redis


@pytest.fixture
def nodes(redis, tmp_path):
    with Lab(tmp_path / "a", redis, MAX_WORKERS=2) as a, Lab(tmp_path / "b", redis, MAX_WORKERS=2) as b:
        yield a.up(), b.up()


def values(redis):
    """The keys of responses."""
    return [key for key in redis.cli("--raw", "KEYS", "sanad:cache:*").split()
            if re.fullmatch(r"sanad:cache:[0-9a-f]{32}", key)]


def stored(redis):
    """The key of the one response that is there, as soon as it is."""
    return wait_for(lambda: values(redis), "a response in Redis")[0]


class Readers:
    """Threads that read a node's counter. Each answer must be 200 and, unless `within` is None, no older than what a
    writer was told so many seconds before it was asked for."""

    def __init__(self, node, count=4, within=None):
        self.node, self.within, self.going, self.broken, self.reads = node, within, True, [], 0
        self.known = []             # (time of a write's answer, value)
        self.threads = [threading.Thread(target=self._read) for _ in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.going = False
        for thread in self.threads:
            thread.join()

    def wrote(self, value):
        self.known.append((time.monotonic(), value))

    def due(self):
        """What every answer must have from now on."""
        if self.within is None:
            return 0
        until = time.monotonic() - self.within
        return max((value for at, value in list(self.known) if at <= until), default=0)

    def _read(self):
        try:
            with self.node.connect() as wire:
                while self.going:
                    due = self.due()
                    answer = wire.get("/count")
                    assert answer.status == 200, answer
                    assert re.fullmatch(rb'\{"value":\d+\}', answer.body), answer
                    assert answer.json()["value"] >= due, f"{answer.body} is older than {due}"
                    self.reads += 1
                    time.sleep(0.001)
        except (AssertionError, OSError, harness.Closed) as problem:
            self.broken.append(problem)

    def check(self):
        assert not self.broken, self.broken[0]

    def more(self, count=100):
        since = self.reads
        wait_for(lambda: self.reads >= since + count or self.broken, "more answers")
        self.check()


# -- what it does ----------------------------------------------------------------------------------------------------

def test_write__on_one_node_is_seen_on_the_other_at_once(nodes):
    a, b = nodes
    for writer, reader in ((a, b), (b, a)) * 10:
        reader.read()                                                # is kept there now
        value, since = writer.write(), time.monotonic()
        assert writer.read() == value
        wait_for(lambda: reader.read() == value, "the write to be seen", SEEN_WITHIN)
        assert time.monotonic() - since < SEEN_WITHIN
        assert [reader.read() for _ in range(10)] == [value] * 10    # whichever worker answers


def test_write__no_answer_is_stale_under_load(nodes):
    a, b = nodes
    with Readers(a, within=SEEN_WITHIN) as of_a, Readers(b, within=SEEN_WITHIN) as of_b:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            for node in (a, b):
                value = node.write()
                of_a.wrote(value)
                of_b.wrote(value)
            time.sleep(0.05)
        time.sleep(SEEN_WITHIN)
        of_a.more()
        of_b.more()
    of_a.check()
    of_b.check()
    assert b.read() == a.read() == value


def test_response__is_found_by_a_node_that_has_just_started(redis, tmp_path):
    with Lab(tmp_path / "a", redis, MAX_WORKERS=1) as a:
        a.up()
        value = a.write()
        assert a.read() == value
        stored(redis)
        assert (a.shared("hits"), a.shared("misses")) == (0, 1)
        wait_for(lambda: a.shared("stores") == 1, "the answer of Redis")
        etag = a.get("/count").header("ETag")
    with Lab(tmp_path / "b", redis, MAX_WORKERS=1, DEBUG="True") as b:
        b.up()
        answer = b.get("/count")
        assert answer.json()["value"] == value
        assert answer.header("ETag") == etag
        assert "desc=SHARED" in answer.header("Server-Timing"), answer
        assert (b.shared("hits"), b.shared("misses")) == (1, 0)
        assert "desc=HIT" in b.get("/count").header("Server-Timing")
        assert b.write() == value + 1
        assert b.read() == value + 1
        assert (b.shared("hits"), b.shared("misses")) == (1, 1)


def test_keys__all_end_by_themselves(nodes, redis):
    a, _ = nodes
    a.write()
    a.read()
    stored(redis)
    keys = redis.cli("--raw", "KEYS", "*").split()
    assert keys and all(key.startswith("sanad:cache:") for key in keys), keys
    for key in keys:
        assert int(redis.cli("PTTL", key)) > 0 or redis.cli("EXISTS", key) == "0", key


def test_lock__nobody_is_held_up_by_a_node_that_died(nodes, redis):
    a, b = nodes
    a.read()
    key = stored(redis)
    a.write()
    generation = "0123456789abcdef"
    redis.cli("SET", TAG, generation)
    redis.cli("SET", key.replace("cache:", "cache:lock:"), generation, "PX", 600000)
    assert b.read() == a.read() == b.read("/count/now")


# -- what becomes of Redis ------------------------------------------------------------------------------------------------

def poison(redis):
    """Rubbish of each kind under every key of ours, now and again."""
    kinds = (("SET", "{key}", "rubbish"), ("SET", "{key}", "x" * 100000), ("HSET", "{key}", "a", "b"),
             ("LPUSH", "{key}", "a"), ("SETRANGE", "{key}", "40", "?"), ("SETRANGE", "{key}", "3000000", "?"))
    for words in kinds:
        for key in [*values(redis), TAG, *(key.replace("cache:", "cache:lock:") for key in values(redis))]:
            if words[0] in ("HSET", "LPUSH"):
                redis.cli("DEL", key)
            redis.cli(*(word.format(key=key) for word in words))
        time.sleep(0.05)


TROUBLES = {
    "killed": lambda redis: (redis.kill(), time.sleep(0.5), redis.start()),
    "paused": lambda redis: (redis.pause(), time.sleep(1), redis.resume()),
    "flushed": lambda redis: [(redis.cli("FLUSHALL"), time.sleep(0.05)) for _ in range(10)],
    "scripts_lost": lambda redis: [(redis.cli("SCRIPT", "FLUSH"), time.sleep(0.05)) for _ in range(10)],
    "read_only": lambda redis: (redis.cli("REPLICAOF", "127.0.0.1", "1"), redis.configure(replica_serve_stale_data="yes"),
                                time.sleep(0.7), redis.cli("REPLICAOF", "NO", "ONE")),
    "full": lambda redis: (redis.configure(maxmemory="1"), time.sleep(0.7), redis.configure(maxmemory="0")),
    "poisoned": poison,
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_trouble__is_not_seen_in_any_answer(nodes, redis, trouble):
    """On the writer's node each answer is exact all the while; on the other as soon as Redis is itself again."""
    a, b = nodes
    writing, wrote = True, []

    def write():
        while writing:
            value = a.write()
            wrote.append(value)
            of_a.wrote(value)
            time.sleep(0.02)

    with Readers(a, within=0) as of_a, Readers(b) as of_b:
        writer = threading.Thread(target=write)
        writer.start()
        try:
            of_b.more()
            TROUBLES[trouble](redis)
            of_a.more()
            of_b.more()
        finally:
            writing = False
            writer.join()
    of_a.check()
    of_b.check()
    assert a.read() == wrote[-1]
    assert wrote == list(range(wrote[0], wrote[0] + len(wrote)))     # no write failed
    a.up()
    b.up()
    wait_for(lambda: b.read() == wrote[-1], "the other node to see the last write")
    hits = a.shared("hits") + b.shared("hits")
    wait_for(lambda: a.write() and a.read() == b.read() and a.shared("hits") + b.shared("hits") > hits,
             "Redis to be used again")


def test_trouble__what_could_not_be_told_is_told_later(redis, tmp_path):
    """Redis goes on, and so does the other node with it: only the writer has lost it, and is the only one to know."""
    by_port = {"REDIS_URL": redis.url(by_socket=False), "CACHE_TTL": 600}
    with Lab(tmp_path / "a", redis, **by_port) as a, Lab(tmp_path / "b", redis, CACHE_TTL=600) as b:
        a.up().read()
        b.up().read()
        redis.configure(port=0)
        try:
            redis.cli("CLIENT", "KILL", "LADDR", f"127.0.0.1:{redis.port}")
            wait_for(lambda: a.metric("redis_client_up") == 0, "the writer to lose Redis")
            value = a.write()
            assert a.read() == value
        finally:
            redis.configure(port=redis.port)
        a.up()
        wait_for(lambda: b.read() == value, "the write to be seen")


def test_trouble__a_server_that_takes_no_writes_gives_no_old_response(nodes, redis):
    """It cannot have been told of the write; the message reaches the other node all the same."""
    a, b = nodes
    a.read()
    stored(redis)
    b.read()
    redis.cli("REPLICAOF", "127.0.0.1", "1")
    try:
        value = a.write()
        wait_for(lambda: b.read() == value, "the write to be seen", SEEN_WITHIN)
        assert [b.read() for _ in range(10)] == [value] * 10
    finally:
        redis.cli("REPLICAOF", "NO", "ONE")


def test_value__changed_in_redis_is_a_miss(redis, tmp_path):
    with Lab(tmp_path / "a", redis, MAX_WORKERS=1) as a:
        value = a.up().write()
        assert a.read() == value
        key = stored(redis)
    redis.cli("SETRANGE", key, int(redis.cli("STRLEN", key)) - 2, "9")         # {"value":9}
    with Lab(tmp_path / "b", redis, MAX_WORKERS=1) as b:
        assert b.up().read() == value
        assert (b.shared("hits"), b.shared("rejected")) == (0, 1)


def test_value__of_another_installation_is_not_looked_at(redis, tmp_path):
    with Lab(tmp_path / "a", redis, MAX_WORKERS=1) as a:
        a.up().read()
        stored(redis)
    with Lab(tmp_path / "b", redis, MAX_WORKERS=1, SECRET_KEY="another " + KEY) as b:
        b.up().read()
        assert b.shared("hits") == 0
        assert len(wait_for(lambda: values(redis)[1:] and values(redis), "its own response")) == 2
