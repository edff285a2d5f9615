# SPDX-License-Identifier: MIT
"""The limiter through the real server: exact across workers, told in headers, excluded where it must be."""
import os
import random
import re
import signal
import threading
import time
from collections import Counter

import pytest

from harness import PATIENCE, Closed, assert_problem, sanad, wait_for

ON = {"RATE_LIMIT_ENABLED": "True"}
HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit-Policy", "RateLimit")


def ask_many(server, threads, each, target="/api/spas"):
    """The statuses of threads x each requests, asked at once, on a new connection each few."""
    statuses, barrier = [], threading.Barrier(threads)

    def ask():
        mine = []
        barrier.wait()
        for at in range(0, each, 5):
            with server.connect() as wire:
                mine += [wire.get(target).status for _ in range(min(5, each - at))]
        statuses.extend(mine)

    crew = [threading.Thread(target=ask) for _ in range(threads)]
    for one in crew:
        one.start()
    for one in crew:
        one.join()
    return Counter(statuses)


# -- how many ---------------------------------------------------------------------------------------------------------

def test_limit__is_exact_across_workers(serve):
    server = serve(**ON, MAX_WORKERS=4)
    assert ask_many(server, 8, 125) == {200: 60, 429: 940}
    assert server.metrics()["limits"]["allowed"] == 60
    assert server.metrics()["limits"]["refused"] == 940


def test_limit__slides_in_real_time(serve):
    """What was let through in the first seconds is free again 60 to 61 s later, and not before."""
    server = serve(**ON, MAX_WORKERS=2, RATE_LIMIT_PER_MINUTE=20)
    began = time.monotonic()
    assert ask_many(server, 4, 10)[200] == 20
    used = time.monotonic()
    early, freed = 0, 0
    with server.connect() as wire:
        while time.monotonic() < used + 63:
            time.sleep(0.5 if time.monotonic() < used + 58 else 0.05)
            before = time.monotonic()
            if wire.get("/api/spas").status == 200:
                early += before < began + 60 - 0.2
                freed += 1
    assert early == 0, "let through while the minute was full"
    assert freed == 20


def test_limit__of_an_hour_tells_the_seconds_that_remain(serve):
    server = serve(**ON, RATE_LIMIT_PER_MINUTE=100, RATE_LIMIT_PER_HOUR=10)
    assert ask_many(server, 2, 10) == {200: 10, 429: 10}
    refused = server.get("/api/spas")
    assert refused.status == 429
    assert 3500 < int(refused.header("Retry-After")) <= 3660
    assert refused.header("X-RateLimit-Limit") == "10"


def test_limit__survives_kills_of_workers(serve):
    server = serve(**ON, MAX_WORKERS=4)
    answers = Counter()
    for _ in range(12):
        victim = random.choice(server.workers())
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: len(server.workers()) == 4 and victim not in server.workers(), "its replacement")
        for _ in range(10):
            try:
                answers[server.get("/api/spas").status] += 1
            except (OSError, Closed):
                answers["broken"] += 1
    assert 58 <= answers[200] <= 60, answers
    assert answers[429] >= 55, answers


# -- who --------------------------------------------------------------------------------------------------------------

def test_limit__is_of_each_client_behind_a_trusted_proxy(serve):
    server = serve(**ON, TRUSTED_PROXIES="127.0.0.1", RATE_LIMIT_PER_MINUTE=3)
    for address in ("192.0.2.1", "192.0.2.2", "2001:db8:1::1"):
        got = [server.get("/api/spas", {"X-Forwarded-For": address}).status for _ in range(5)]
        assert got == [200] * 3 + [429] * 2, address
    assert server.get("/api/spas", {"X-Forwarded-For": "2001:db8:1::ffff"}).status == 429, "the same /64"


def test_limit__does_not_believe_just_anybody(serve):
    server = serve(**ON, RATE_LIMIT_PER_MINUTE=3)
    got = [server.get("/api/spas", {"X-Forwarded-For": f"192.0.2.{i}", "X-Real-IP": f"192.0.2.{i}",
                                    "Forwarded": f"for=192.0.2.{i}"}).status for i in range(5)]
    assert got == [200] * 3 + [429] * 2


def test_limit__allow_list(serve):
    server = serve(**ON, TRUSTED_PROXIES="127.0.0.1", RATE_LIMIT_PER_MINUTE=2, RATE_LIMIT_ALLOW="10.0.0.0/8")
    for _ in range(5):
        answer = server.get("/api/spas", {"X-Forwarded-For": "10.1.2.3"})
        assert answer.status == 200 and answer.header("RateLimit") is None
    assert [server.get("/api/spas", {"X-Forwarded-For": "11.1.2.3"}).status for _ in range(3)] == [200, 200, 429]


def resident_kb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1))


def test_table__does_not_grow_with_those_who_ask(serve):
    """200,000 addresses, 1,000 of which can be remembered: nobody gets more than his share, and memory stays."""
    server = serve(**ON, MAX_WORKERS=2, TRUSTED_PROXIES="127.0.0.1", RATE_LIMIT_CLIENTS=1000, ACCESS_LOG="")
    per_batch, threads, total = 100, 16, 200_000
    dice = random.Random(7)
    batches = [b"".join(b"HEAD /nothing HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: %d.%d.%d.%d\r\n\r\n" %
                        tuple(dice.getrandbits(32).to_bytes(4, "big")) for _ in range(per_batch)) for _ in range(64)]

    def send(count):
        with server.connect() as wire:
            for i in range(count):
                wire.send(batches[(i * 7 + threading.get_ident()) % len(batches)])
                for _ in range(per_batch):
                    assert wire.response(head=True).status in (404, 429)

    def rush(count):
        crew = [threading.Thread(target=send, args=(count // per_batch // threads,)) for _ in range(threads)]
        for one in crew:
            one.start()
        for one in crew:
            one.join()

    rush(total // 8)
    before = [resident_kb(pid) for pid in server.workers()]
    rush(total * 7 // 8)
    after = [resident_kb(pid) for pid in server.workers()]
    told = wait_for(lambda: server.metrics()["limits"] if server.metrics()["limits"]["clients"] else None, "the gauges")
    assert told["clients"] <= told["clients_max"] <= 1008
    assert told["evicted"] > 1000
    for old, new in zip(before, after):
        assert new - old < 8 * 1024, f"{old} kB became {new} kB"


# -- what -------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("target", ["/health", "/health/ready", "/metrics", "/", "/health?x=1"])
def test_excluded__is_answered_however_often(serve, target):
    server = serve(**ON, RATE_LIMIT_PER_MINUTE=2)
    for _ in range(6):
        answer = server.get(target)
        assert answer.status in (200, 503) and answer.header("RateLimit") is None
    assert server.get("/api/spas").status == 200


@pytest.mark.parametrize("target", ["/api/spas", "/api/certificates/public", "/api/certificates/templates", "/nothing",
                                    "/healthy", "/health/other", "/metrics/x", "//", "/api/spas?limit=no"])
def test_limited__is_everything_else(serve, target):
    server = serve(**ON, RATE_LIMIT_PER_MINUTE=2)
    got = [server.get(target) for _ in range(3)]
    assert [answer.status == 429 for answer in got] == [False, False, True], target
    for answer in got:
        assert all(answer.header(name) for name in HEADERS), (target, answer)


# -- how it is told ---------------------------------------------------------------------------------------------------

def test_answers__count_down(serve):
    server = serve(**ON, RATE_LIMIT_PER_MINUTE=5, RATE_LIMIT_PER_HOUR=50, MAX_WORKERS=1)
    for left in (4, 3, 2, 1, 0):
        answer = server.get("/api/spas")
        assert answer.header("X-RateLimit-Limit") == "5"
        assert answer.header("X-RateLimit-Remaining") == str(left)
        assert 0 < int(answer.header("X-RateLimit-Reset")) <= 61
        assert answer.header("RateLimit-Policy") == '"minute";q=5;w=60, "hour";q=50;w=3600'
        assert re.fullmatch(rf'"minute";r={left};t=\d+, "hour";r={45 + left};t=\d+', answer.header("RateLimit"))
    refused = server.get("/api/spas")
    assert_problem(refused, 429)
    assert 0 < int(refused.header("Retry-After")) <= 61
    assert refused.header("Cache-Control") == "no-store"


def test_answers__304_and_head_carry_them_and_count(serve):
    server = serve(**ON, RATE_LIMIT_PER_MINUTE=3)
    tag = server.get("/api/spas").header("ETag")
    same = server.get("/api/spas", {"If-None-Match": tag})
    assert same.status == 304 and same.header("X-RateLimit-Remaining") == "1"
    assert server.request("HEAD", "/api/spas").header("X-RateLimit-Remaining") == "0"
    assert server.request("HEAD", "/api/spas").status == 429


def test_disabled__nothing_is_limited_or_told(serve):
    server = serve(RATE_LIMIT_ENABLED="False", RATE_LIMIT_PER_MINUTE=1)
    for _ in range(5):
        answer = server.get("/api/spas")
        assert answer.status == 200 and not any(answer.header(name) for name in HEADERS)


def test_log__one_line_a_client_and_minute(serve):
    server = serve(**ON, MAX_WORKERS=4, RATE_LIMIT_PER_MINUTE=2)
    ask_many(server, 4, 25)
    lines = [line for line in server.log().splitlines() if "client asks too often" in line]
    assert 1 <= len(lines) <= 2, lines           # two, when a minute has begun meanwhile
    assert "client=127.0.0.1" in lines[0] and "class=api" in lines[0]


# -- sanad limits -----------------------------------------------------------------------------------------------------

def test_command__lists_the_busiest_and_lets_one_go(serve):
    server = serve(**ON, TRUSTED_PROXIES="127.0.0.1", RATE_LIMIT_PER_MINUTE=3)
    for address, times in (("192.0.2.1", 9), ("192.0.2.2", 2), ("2001:db8:7::5", 5)):
        for _ in range(times):
            server.get("/api/spas", {"X-Forwarded-For": address})
    lines = sanad(server.folder, "limits").stdout.splitlines()
    rows = {line.split()[0]: line.split()[1:5] for line in lines[1:4]}
    assert rows["192.0.2.1"] == ["api", "3", "3", "6"]
    assert rows["192.0.2.2"] == ["api", "2", "2", "0"]
    assert rows["2001:db8:7::/64"] == ["api", "3", "3", "2"]
    assert lines[1].startswith("192.0.2.1"), "the busiest first"
    assert sanad(server.folder, "limits", "--top", "1").stdout.count("api") == 1
    assert "192.0.2.1 (api) begins anew" in sanad(server.folder, "limits", "--forget", "192.0.2.1").stdout
    assert server.get("/api/spas", {"X-Forwarded-For": "192.0.2.1"}).status == 200
    assert "not among" in sanad(server.folder, "limits", "--forget", "192.0.2.99", status=1).stderr
    sanad(server.folder, "limits", "--forget", "2001:db8:7::99")
    assert server.get("/api/spas", {"X-Forwarded-For": "2001:db8:7::1"}).status == 200


def test_command__says_what_is_wrong(serve, tmp_path):
    assert "no server is running" in sanad(tmp_path, "limits", status=1).stderr
    assert "is no address" in sanad(tmp_path, "limits", "--forget", "nobody", status=64).stderr
    assert "1 to 1000" in sanad(tmp_path, "limits", "--top", "0", status=64).stderr
    server = serve(**ON)
    server.process.send_signal(signal.SIGKILL)       # its file stays, and points to nobody
    server.process.wait(PATIENCE)
    assert (server.folder / "data" / "sanad.pid").exists()
    assert "no server is running" in sanad(server.folder, "limits", status=1).stderr
    wait_for(lambda: not server.workers(), "its workers to end")
