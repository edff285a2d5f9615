# SPDX-License-Identifier: MIT
"""The Redis client of a worker, through the small application: whatever becomes of the server, each request is
answered, in time, and Redis is used again as soon as it can be."""
import re
import signal
import socket
import subprocess
import threading
import time
from collections import Counter

import pytest

import harness
from harness import wait_for
from redis import Redis, available

pytestmark = pytest.mark.skipif(not available(), reason="there is no redis-tools")

LEFT_OPEN = "left with open handles"
IN_TIME_OR_NOT = {"OK", "E_UNAVAILABLE", "E_TIMEOUT"}
NOT_MINE = "somebody else's secret"


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


class Lab(harness.Lab):
    """With one worker, so that its state is the one that is asked for; its end must be orderly."""

    def __init__(self, folder, redis, url=None, **settings):
        more = {name: str(value) for name, value in settings.items()}
        super().__init__(folder, {"MAX_WORKERS": "1", "LOG_LEVEL": "debug", **redis.settings(),
                                  **({"REDIS_URL": url} if url else {}), **more})

    def wait(self, status=0):
        super().wait(status)
        assert LEFT_OPEN not in self.log()

    def redis(self, *words):
        """(result, value) of a command: its name, a key, a value."""
        query = "&".join(f"{name}={word}" for name, word in zip(("command", "key", "value"), words))
        for _ in range(10):
            told = self.ask(f"/redis?{query}")
            if told["result"] != "E_TIMEOUT":      # a machine that is slow, for once
                break
        return told["result"], told["value"]

    def ask(self, target):
        answer = self.get(target)
        assert answer.status == 200, answer
        return answer.json()

    def state(self):
        return self.ask("/redis/state")

    def up(self):
        return wait_for(lambda: self.state()["up"], "Redis to be used")

    def away(self):
        wait_for(lambda: not self.state()["up"] and self.state()["why"], "Redis to be away")
        return self.state()["why"]

    def changes(self):
        """What the log says of Redis, in order; the connection for messages is another matter."""
        return re.findall(r"redis is (away|back) redis=", self.log())

    def metric(self, name):
        text = self.get("/metrics?format=prometheus").body.decode()
        return float(re.search(rf"^{name} (\S+)$", text, re.M).group(1))


@pytest.fixture
def lab(redis, tmp_path):
    with Lab(tmp_path / "lab", redis) as running:
        running.up()
        yield running


class Load:
    """Threads that ask again and again; each answer is kept: (result, milliseconds)."""

    def __init__(self, lab, target="/redis?command=INCR&key=load", count=8):
        self.lab, self.target, self.going, self.answers, self.broken = lab, target, True, [], []
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
            with self.lab.connect() as wire:
                while self.going:
                    answer = wire.get(self.target)
                    assert answer.status == 200, answer
                    told = answer.json()
                    self.answers.append((told["result"], told["ms"]))
                    time.sleep(0.002)
        except (AssertionError, OSError, harness.Closed) as problem:
            self.broken.append(problem)

    def results(self, since=0):
        return Counter(result for result, _ in self.answers[since:])

    def more(self, result, count=50):
        """Waits for so many more of these."""
        since = len(self.answers)
        wait_for(lambda: self.results(since)[result] >= count or self.broken, f"{count} more of {result}")
        assert not self.broken, self.broken[0]


# -- what it does ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("by_socket", [True, False])
def test_commands__by_socket_and_by_port_with_a_database_and_a_prefix(redis, tmp_path, by_socket):
    with Lab(tmp_path / "lab", redis, redis.url(by_socket, database=5)) as lab:
        lab.up()
        assert lab.redis("SET", "a", "hello") == ("OK", "OK")
        assert lab.redis("GET", "a") == ("OK", "hello")
        assert lab.redis("GET", "b") == ("OK", None)
        assert lab.redis("APPEND", "a", "x" * 7000) == ("OK", 7005)
        assert redis.cli("-n", 5, "KEYS", "*") == "sanad:a"
        assert "name=sanad " in redis.cli("CLIENT", "LIST")
        assert lab.changes() == []


def test_function__is_loaded_again_when_the_server_has_lost_it(lab, redis):
    wait_for(lambda: lab.ask("/redis/function?key=n")["result"] == "OK", "the function to be loaded")
    redis.cli("SCRIPT", "FLUSH")
    assert lab.ask("/redis/function?key=m")["value"] == [2, "of", ["sanad:m"]]
    redis.cli("FLUSHALL")
    assert lab.ask("/redis/function?key=m")["value"] == [2, "of", ["sanad:m"]]
    redis.restart()
    wait_for(lambda: lab.ask("/redis/function?key=m")["value"] == [2, "of", ["sanad:m"]], "it after a restart")
    with Load(lab, "/redis/function?key=load") as load:
        for _ in range(5):
            redis.cli("SCRIPT", "FLUSH")
            load.more("OK")
    assert not load.broken and set(load.results()) <= IN_TIME_OR_NOT


def test_wrong_type__under_our_key_is_a_conflict(lab, redis):
    redis.cli("LPUSH", "sanad:list", "x")
    assert lab.redis("GET", "list") == ("E_CONFLICT", None)
    assert lab.redis("GET", "other") == ("OK", None)


class Relay:
    """Between the service and Redis: counts how often it had something to read from the service."""

    def __init__(self, folder, redis):
        self.path, self.redis, self.reads = folder / "relay", redis, 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        client, _ = self.listener.accept()
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(self.redis.socket))
        threading.Thread(target=self._carry, args=(server, client, False), daemon=True).start()
        self._carry(client, server, True)

    def _carry(self, source, target, counts):
        while piece := source.recv(1 << 20):
            self.reads += counts
            target.sendall(piece)
        target.close()


def test_commands_of_a_turn__go_out_together(redis, tmp_path):
    relay = Relay(redis.socket.parent, redis)
    with Lab(tmp_path / "lab", redis, f"unix://{relay.path}") as lab:
        lab.up()
        before = relay.reads
        assert lab.ask("/redis/volley?times=200")["value"] == 200
        assert relay.reads - before <= 5
        assert redis.cli("GET", "sanad:volley") == "200"


# -- a server that fails ---------------------------------------------------------------------------------------------

def test_killed_under_load__no_request_fails_and_it_is_used_again(lab, redis):
    with Load(lab) as load:
        load.more("OK")
        redis.kill()
        load.more("E_UNAVAILABLE", 200)
        redis.start()
        load.more("OK", 200)
    assert not load.broken
    assert set(load.results()) <= IN_TIME_OR_NOT
    wait_for(lambda: lab.metric("redis_client_reconnects_total") == 2, "both connections, that for messages too")
    assert lab.metric("redis_client_up") == 1
    assert lab.changes()[0] == "away" and lab.changes()[-1] == "back" and len(lab.changes()) <= 4


def test_paused_under_load__few_wait_and_none_long(lab, redis):
    with Load(lab) as load:
        load.more("OK")
        redis.pause()
        time.sleep(5)
        paused = load.results()
        redis.resume()
        load.more("OK", 200)
    assert not load.broken
    assert paused["E_UNAVAILABLE"] > 100, "the others did not wait"
    assert 3 <= paused["E_TIMEOUT"] <= 100, "nobody waits for a server that is known to be silent"
    assert max(ms for result, ms in load.answers if result == "E_TIMEOUT") < 1000
    assert set(load.results()) == IN_TIME_OR_NOT
    assert lab.metric("redis_client_timeouts_total") == load.results()["E_TIMEOUT"]
    assert len(lab.changes()) <= 6


def test_connection_killed__is_made_again(lab, redis):
    with Load(lab) as load:
        for _ in range(3):
            load.more("OK")
            redis.cli("CLIENT", "KILL", "TYPE", "normal")
            load.more("E_UNAVAILABLE", 1)
        load.more("OK")
    assert set(load.results()) <= IN_TIME_OR_NOT
    assert lab.metric("redis_client_reconnects_total") == 3


def test_flushed_under_load__no_request_fails(lab, redis):
    with Load(lab) as load:
        for _ in range(5):
            load.more("OK")
            redis.cli("FLUSHALL")
            redis.cli("SCRIPT", "FLUSH")
        load.more("OK")
    assert set(load.results()) <= IN_TIME_OR_NOT


def test_full__a_write_is_refused_and_a_read_is_not(lab, redis):
    assert lab.redis("SET", "a", "1") == ("OK", "OK")
    redis.configure(maxmemory_policy="noeviction", maxmemory=1)
    try:
        for _ in range(20):
            assert lab.redis("SET", "a", "2") == ("E_DISK_FULL", None)
        assert lab.redis("GET", "a") == ("OK", "1")
    finally:
        redis.configure(maxmemory=0)
    assert lab.redis("SET", "a", "2") == ("OK", "OK")
    assert lab.log().count("redis refuses a command") == 1, "once a minute, not once a request"


def test_replica__takes_no_writes(lab, redis):
    redis.cli("REPLICAOF", "127.0.0.1", "1")
    try:
        assert lab.redis("SET", "a", "1") == ("E_READ_ONLY", None)
    finally:
        redis.cli("REPLICAOF", "NO", "ONE")
    assert lab.redis("SET", "a", "1") == ("OK", "OK")


def test_away_at_the_start__comes_when_it_comes(redis, tmp_path):
    redis.stop()
    with Lab(tmp_path / "lab", redis) as lab:
        assert lab.away() in ("No such file or directory", "Connection refused")
        assert lab.redis("GET", "a") == ("E_UNAVAILABLE", None)
        assert lab.metric("redis_client_up") == 0
        time.sleep(1)
        assert lab.changes() == ["away"], "one line, however often it is tried"
        redis.start()
        lab.up()
        assert lab.changes() == ["away", "back"]


def test_stop__while_it_is_paused_is_orderly(redis, tmp_path):
    with Lab(tmp_path / "lab", redis) as lab:
        lab.up()
        redis.pause()
        assert lab.ask("/redis?command=GET&key=a")["result"] == "E_TIMEOUT"
    with Lab(tmp_path / "dialling", redis) as lab:
        assert not lab.state()["up"]


# -- who may ---------------------------------------------------------------------------------------------------------

def test_wrong_password__is_away_with_the_servers_reason_and_without_ours(tmp_path):
    with Redis(tmp_path / "redis", requirepass="the right one") as redis:
        with Lab(tmp_path / "lab", redis, redis.url(password=NOT_MINE)) as lab:
            assert "WRONGPASS" in lab.away()
            assert lab.redis("GET", "a") == ("E_UNAVAILABLE", None)
        assert NOT_MINE not in lab.log()
        with Lab(tmp_path / "none", redis) as lab:
            assert "NOAUTH" in lab.away()
        with Lab(tmp_path / "right", redis, redis.url(password="the right one")) as lab:
            lab.up()


def test_user__of_an_access_list(lab, redis, tmp_path):
    redis.cli("ACL", "SETUSER", "sanad", "on", ">p@ss/w:rd", "~sanad:*", "&sanad:*",
              "+get", "+set", "+incrby", "+evalsha", "+script|load", "+select", "+subscribe")
    with Lab(tmp_path / "user", redis, redis.url(user="sanad", password="p@ss/w:rd", database=2)) as user:
        user.up()
        assert user.redis("SET", "a", "1") == ("OK", "OK")
        assert user.redis("DEL", "a") == ("E_UNAVAILABLE", None), "NOPERM"
        wait_for(lambda: user.ask("/redis/function?key=n")["result"] == "OK", "the function")
    redis.cli("ACL", "SETUSER", "sanad", "off")
    with Lab(tmp_path / "off", redis, redis.url(user="sanad", password="p@ss/w:rd")) as off:
        assert "WRONGPASS" in off.away()
    assert "p@ss/w:rd" not in off.log()


def test_database__that_there_is_not(redis, tmp_path):
    with Lab(tmp_path / "lab", redis, redis.url(database=99)) as lab:
        assert lab.away() == "ERR DB index is out of range"


@pytest.mark.parametrize("url, told", [("rediss://:hunter2@localhost:6380/0", "stunnel"),
                                       ("redis://:hunter2@localhost/first", "a number, such as 0")])
def test_url__that_cannot_be_used_stops_the_start(tmp_path, url, told):
    settings = {"REDIS_ENABLED": "True", "REDIS_URL": url, "PORT": "0"}
    done = harness.sanad(tmp_path, "serve", settings=settings, status=78)
    assert told in done.stderr and "hunter2" not in done.stderr


# -- messages --------------------------------------------------------------------------------------------------------

class Listener:
    def __init__(self, redis, *channels):
        self.lines = []
        self.process = subprocess.Popen([str(harness.LISTENER), redis.url(), *channels], stdout=subprocess.PIPE,
                                        text=True, env=harness.environment({}))
        self.thread = threading.Thread(target=lambda: self.lines.extend(iter(self.process.stdout.readline, "")))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(harness.PATIENCE) == 0
        self.thread.join()

    def heard(self, count):
        return wait_for(lambda: len(self.lines) >= count and [line.strip() for line in self.lines], f"{count} lines")


def test_messages__survive_restarts(redis):
    with Listener(redis, "news", "more") as listener:
        assert listener.heard(1) == ["subscribed"]
        assert redis.cli("PUBLISH", "sanad:news", "one") == "1"
        redis.cli("PUBLISH", "sanad:more", "two")
        redis.cli("PUBLISH", "news", "not ours")
        redis.restart()
        assert listener.heard(4) == ["subscribed", "news one", "more two", "subscribed"]
        redis.cli("PUBLISH", "sanad:news", "three")
        assert listener.heard(5)[4] == "news three"
        redis.kill()
        redis.start()
        assert listener.heard(6)[5] == "subscribed"
        redis.cli("CLIENT", "KILL", "TYPE", "pubsub")
        assert listener.heard(7)[6] == "subscribed"
