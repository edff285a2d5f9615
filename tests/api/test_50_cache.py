# SPDX-License-Identifier: MIT
"""The response cache: copies, their conditions and encodings, their end; what many get at once, and in a failure."""
import gzip
import os
import random
import re
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import PATIENCE, Closed, assert_problem, wait_for

TEMPLATES = "/api/certificates/templates"
PUBLIC = "/api/certificates/public"

ONE_WORKER = {"MAX_WORKERS": "1"}


def cache(server):
    return server.metrics()["cache"]


def states(server, path):
    """Cache states of a path's requests so far, oldest first, from the access log."""
    line = re.compile(rf'"GET {re.escape(path)}[? ].* (\S+) \S+ \d+$', re.MULTILINE)
    return line.findall(server.out_path.read_text())


def together(count, work):
    """work(i) for each of `count` threads, begun at once; their results in order."""
    gate = threading.Barrier(count)

    def one(i):
        gate.wait(PATIENCE)
        return work(i)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def unbrotli(data):
    """Decompressed by whatever the machine has: a module, the tool, or the library that the server links too."""
    try:
        import brotli
        return brotli.decompress(data)
    except ImportError:
        pass
    if shutil.which("brotli"):
        return subprocess.run(["brotli", "-dc"], input=data, capture_output=True, check=True).stdout
    import ctypes
    import ctypes.util
    found = ctypes.util.find_library("brotlidec")
    if not found:
        pytest.skip("nothing here can decompress brotli")
    size, room = ctypes.c_size_t(1 << 20), ctypes.create_string_buffer(1 << 20)
    done = ctypes.CDLL(found).BrotliDecoderDecompress(ctypes.c_size_t(len(data)), data, ctypes.byref(size), room)
    assert done == 1, "not brotli"
    return room.raw[:size.value]


def encoded(server, target, coding):
    """The answer in this coding; compressed copies are made soon after the first fetch."""
    def ask():
        answer = server.get(target, {"Accept-Encoding": coding})
        return answer if answer.header("Content-Encoding") == coding else None
    return wait_for(ask, f"{target} in {coding}")


# -- copies ---------------------------------------------------------------------------------------------------------

def test_cache__a_second_request_is_a_hit(serve):
    server = serve(**ONE_WORKER, ACCESS_LOG="-")
    first, second = server.get(TEMPLATES), server.get(TEMPLATES)
    assert first.status == second.status == 200
    assert first.body == second.body and first.header("ETag") == second.header("ETag")
    assert second.header("Age") is None
    seen = cache(server)
    assert (seen["misses"], seen["hits"], seen["entries"]) == (1, 1, 1)
    assert seen["bytes"] > len(first.body)
    assert wait_for(lambda: len(states(server, TEMPLATES)) == 2 and states(server, TEMPLATES),
                    "two lines") == ["MISS", "HIT"]


def test_cache__head_is_answered_from_the_copy(serve):
    server = serve(**ONE_WORKER)
    whole = server.get(TEMPLATES)
    head = server.request("HEAD", TEMPLATES)
    assert head.status == 200 and head.body == b""
    for name in ("ETag", "Content-Length", "Content-Type", "Vary", "Cache-Control"):
        assert head.header(name) == whole.header(name), name
    assert cache(server)["hits"] == 1


def test_cache__head_first_fills_it_for_get(serve):
    server = serve(**ONE_WORKER)
    head = server.request("HEAD", TEMPLATES)
    whole = server.get(TEMPLATES)
    assert head.header("Content-Length") == str(len(whole.body)) and head.header("ETag") == whole.header("ETag")
    assert cache(server)["misses"] == 1


def test_cache__off_means_no_copy(serve):
    server = serve(**ONE_WORKER, CACHE_ENABLED="False", ACCESS_LOG="-")
    assert [server.get(TEMPLATES).status for _ in range(3)] == [200, 200, 200]
    seen = cache(server)
    assert (seen["hits"], seen["misses"], seen["entries"]) == (0, 0, 0)
    assert wait_for(lambda: len(states(server, TEMPLATES)) == 3 and states(server, TEMPLATES),
                    "three lines") == ["BYPASS"] * 3


def test_cache__a_copy_ends_with_its_time(lab):
    server = lab(**ONE_WORKER, CACHE_TTL="0.3")
    first = server.get("/flaky").json()
    assert wait_for(lambda: server.get("/flaky").json() != first, "a new copy")
    assert cache(server)["misses"] >= 2


def test_cache__a_long_time_keeps_it(lab):
    server = lab(**ONE_WORKER, CACHE_TTL="3600")
    first = server.get("/flaky").json()
    time.sleep(1.2)
    assert server.get("/flaky").json() == first


def test_cache__only_what_succeeded_is_kept(lab):
    server = lab(**ONE_WORKER)
    (server.folder / "down").touch()
    for _ in range(3):
        assert_problem(server.get("/flaky"), 503)
    assert cache(server)["misses"] == 3
    (server.folder / "down").unlink()
    assert server.get("/flaky").status == 200


# -- keys -----------------------------------------------------------------------------------------------------------

def test_key__spelling_and_order_make_no_second_copy(serve):
    server = serve(**ONE_WORKER)
    same = [
        f"{PUBLIC}?category=spa_therapist&limit=20&skip=0",
        f"{PUBLIC}?skip=0&limit=20&category=spa_therapist",
        f"{PUBLIC}?category=spa_therapist",
        f"{PUBLIC}?category=spa%5Ftherapist",
        f"{PUBLIC}?%63ategory=spa_therapist&limit=20",
        f"{PUBLIC}?category=spa_therapist&utm_source=mail&_=1700000000",
        f"{PUBLIC}?&category=spa_therapist&",
    ]
    bodies = {server.get(target).body for target in same}
    seen = cache(server)
    assert len(bodies) == 1
    assert (seen["entries"], seen["misses"], seen["hits"]) == (1, 1, len(same) - 1)


def test_key__other_values_are_other_copies(serve):
    server = serve(**ONE_WORKER)
    targets = [PUBLIC, f"{PUBLIC}?limit=5", f"{PUBLIC}?skip=5", f"{PUBLIC}?category=spa_therapist",
               f"{PUBLIC}?category=id_card", TEMPLATES, f"{TEMPLATES}?variant=modern", f"{TEMPLATES}?variant=0",
               f"{TEMPLATES}/1", f"{TEMPLATES}/2", "/api/spas", "/api/spas?city=Pune", "/api/spas?city=pune"]
    for target in targets:
        assert server.get(target).status == 200, target
    assert cache(server)["entries"] == len(targets)
    first = {target: server.get(target).body for target in targets}
    assert first[f"{TEMPLATES}/1"] != first[f"{TEMPLATES}/2"]
    assert cache(server)["misses"] == len(targets)


# -- conditions ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', '"a,b" , W/"x", {} ,', "*"])
def test_etag__what_the_client_has_is_not_sent_again(server, form):
    etag = server.get(TEMPLATES).header("ETag")
    answer = server.get(TEMPLATES, {"If-None-Match": form.format(etag)})
    assert answer.status == 304 and answer.body == b""
    assert answer.header("ETag") == etag
    assert answer.header("Vary") == "Accept-Encoding"
    assert answer.header("Cache-Control") == server.get(TEMPLATES).header("Cache-Control")
    assert answer.header("Content-Length") in (None, "0") or int(answer.header("Content-Length")) > 0


@pytest.mark.parametrize("form", ['"other"', '"a", "b"', "", "{}", '{}x"', "none", '"'])
def test_etag__another_one_is_answered_whole(server, form):
    unfinished = server.get(TEMPLATES).header("ETag")[:-1]
    answer = server.get(TEMPLATES, {"If-None-Match": form.format(unfinished)})
    assert answer.status == 200 and answer.body


def test_etag__differs_by_encoding_and_each_is_known(serve):
    server = serve(**ONE_WORKER)
    plain = server.get(TEMPLATES)
    tags = {"": plain.header("ETag"), "gzip": encoded(server, TEMPLATES, "gzip").header("ETag"),
            "br": encoded(server, TEMPLATES, "br").header("ETag")}
    assert len(set(tags.values())) == 3
    for coding, etag in tags.items():
        headers = {"If-None-Match": etag, **({"Accept-Encoding": coding} if coding else {})}
        answer = server.get(TEMPLATES, headers)
        assert answer.status == 304 and answer.header("ETag") == etag, coding


def test_etag__same_body_same_tag_on_every_worker_and_after_a_restart(serve):
    server = serve(MAX_WORKERS="3")
    tags = {server.get(TEMPLATES).header("ETag") for _ in range(12)}
    server.stop()
    server.start()
    tags |= {server.get(TEMPLATES).header("ETag") for _ in range(6)}
    assert len(tags) == 1


def test_etag__changes_with_the_body(lab):
    server = lab(**ONE_WORKER)
    before = server.get("/count").header("ETag")
    server.request("POST", "/count")
    assert server.get("/count", {"If-None-Match": before}).status == 200


# -- encodings ---------------------------------------------------------------------------------------------------------

def test_encoding__compressed_bodies_are_the_plain_one(serve):
    server = serve(**ONE_WORKER)
    for target in (TEMPLATES, f"{PUBLIC}?limit=100", "/api/spas?limit=100"):
        plain = server.get(target)
        zipped, brotlied = encoded(server, target, "gzip"), encoded(server, target, "br")
        assert plain.header("Content-Encoding") is None
        assert gzip.decompress(zipped.body) == unbrotli(brotlied.body) == plain.body
        assert len(zipped.body) < len(plain.body) and len(brotlied.body) < len(plain.body)
        for answer in (plain, zipped, brotlied):
            assert answer.header("Vary") == "Accept-Encoding"
            assert answer.header("Content-Type") == "application/json"
            assert answer.links() == plain.links()


@pytest.mark.parametrize("accept,coding", [
    ("gzip, deflate, br", "br"), ("gzip;q=1.0, br;q=0", "gzip"), ("identity", None), ("gzip;q=0, br;q=0", None),
    ("*", "br"), ("", None), ("GZIP", "gzip"), ("deflate, zstd", None),
])
def test_encoding__is_what_the_client_accepts(server, accept, coding):
    server.get(TEMPLATES)
    for each in ("gzip", "br"):     # two workers: each has its own copies
        for _ in range(8):
            encoded(server, TEMPLATES, each)
    answer = server.get(TEMPLATES, {"Accept-Encoding": accept})
    assert answer.header("Content-Encoding") == coding


def test_encoding__small_bodies_stay_plain(lab):
    server = lab(**ONE_WORKER)
    server.get("/count")
    time.sleep(0.3)
    answer = server.get("/count", {"Accept-Encoding": "gzip, br"})
    assert answer.header("Content-Encoding") is None and answer.json() == {"value": 0}


def test_encoding__head_has_the_fields_of_its_encoding(serve):
    server = serve(**ONE_WORKER)
    server.get(TEMPLATES)
    whole = encoded(server, TEMPLATES, "gzip")
    head = server.request("HEAD", TEMPLATES, {"Accept-Encoding": "gzip"})
    assert head.header("Content-Length") == str(len(whole.body)) and head.header("ETag") == whole.header("ETag")


# -- the budget ----------------------------------------------------------------------------------------------------------

def test_budget__is_kept_and_the_least_used_goes(serve):
    budget = 1024 * 1024
    server = serve(**ONE_WORKER, CACHE_MAX_BYTES="1M")
    with server.connect() as wire:
        favourite = wire.get(TEMPLATES).body
        most = 0
        for skip in range(300):
            assert wire.get(f"{PUBLIC}?limit=60&skip={skip}").status == 200
            wire.get(TEMPLATES)
            if skip % 20 == 0:
                most = max(most, wire.get("/metrics").json()["cache"]["bytes"])
                assert most <= budget
        seen = wire.get("/metrics").json()["cache"]
        assert seen["bytes"] <= budget and most > budget // 2
        assert seen["evictions"] > 100
        misses = seen["misses"]
        assert wire.get(TEMPLATES).body == favourite
        wire.get(f"{PUBLIC}?limit=60&skip=299")
        assert wire.get("/metrics").json()["cache"]["misses"] == misses, "what was used last was dropped"
        wire.get(f"{PUBLIC}?limit=60&skip=0")
        assert wire.get("/metrics").json()["cache"]["misses"] == misses + 1


def test_budget__holds_for_keys_that_find_nothing(serve):
    """Whoever asks for ids that do not exist makes no room for himself."""
    server = serve(**ONE_WORKER, CACHE_MAX_BYTES="1M")
    target = b"GET /api/certificates/templates/%d HTTP/1.1\r\nHost: x\r\n\r\n"
    with server.connect() as wire:
        for start in range(0, 6000, 500):
            wire.send(b"".join(target % (1000000 + start + i) for i in range(500)))
            assert {wire.response().status for _ in range(500)} == {404}
    assert cache(server)["bytes"] <= 1024 * 1024


# -- many at once ----------------------------------------------------------------------------------------------------------

def test_crowd__one_fetch_for_all_who_wait(lab):
    server = lab(**ONE_WORKER)
    answers = together(50, lambda i: server.get("/flaky?ms=1500"))
    assert {a.status for a in answers} == {200}
    assert len({a.body for a in answers}) == 1
    seen = cache(server)
    assert seen["misses"] == 1
    assert seen["coalesced"] + seen["hits"] == 49 and seen["coalesced"] > 0
    routes = {r["route"]: r for r in server.metrics()["http"]["routes"]}
    assert routes["/flaky"]["count"] == 50


def test_crowd__all_hear_of_a_failure_without_a_copy(lab):
    server = lab(**ONE_WORKER)
    (server.folder / "down").touch()
    answers = together(40, lambda i: server.get("/flaky?ms=1500", {"X-Request-Id": f"crowd-{i}"}))
    for i, answer in enumerate(answers):
        assert_problem(answer, 503)
        assert answer.header("X-Request-Id") == f"crowd-{i}"
        assert answer.header("Retry-After") == "1"
    assert cache(server)["coalesced"] > 0


def test_crowd__all_get_the_old_copy_in_a_failure(lab):
    server = lab(**ONE_WORKER, CACHE_TTL="0.2", ACCESS_LOG="-")
    good = server.get("/flaky?ms=1000")
    (server.folder / "down").touch()
    time.sleep(0.3)
    answers = together(40, lambda i: server.get("/flaky?ms=1000"))
    assert {(a.status, a.body) for a in answers} == {(200, good.body)}
    assert all(int(a.header("Age")) >= 1 for a in answers)
    assert cache(server)["stale"] == 40
    assert wait_for(lambda: len(states(server, "/flaky")) == 41 and set(states(server, "/flaky")[1:]),
                    "41 lines") == {"STALE"}


def test_crowd__the_fetcher_leaving_takes_nobody_along(lab):
    """The one whose request does the work hangs up: those who wait for it still get an answer."""
    server = lab(**ONE_WORKER)
    first = server.connect()
    first.send(b"GET /flaky?ms=1500 HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_for(lambda: cache(server)["misses"] == 1, "the fetch to begin")
    with ThreadPoolExecutor(5) as pool:
        waiting = [pool.submit(server.get, "/flaky?ms=1500") for _ in range(5)]
        wait_for(lambda: cache(server)["coalesced"] == 5, "five who wait")
        first.close()
        answers = [w.result(PATIENCE) for w in waiting]
    assert {a.status for a in answers} == {200}, answers
    wait_for(lambda: server.metrics()["http"]["coroutines"] == 0, "all coroutines to end")


def test_crowd__a_waiter_leaving_hurts_nobody(lab):
    server = lab(**ONE_WORKER)
    with ThreadPoolExecutor(1) as pool:
        fetch = pool.submit(server.get, "/flaky?ms=800")
        wait_for(lambda: cache(server)["misses"] == 1, "the fetch to begin")
        leaving = [server.connect() for _ in range(10)]
        for wire in leaving:
            wire.send(b"GET /flaky?ms=800 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: cache(server)["coalesced"] == 10, "ten who wait")
        for wire in leaving:
            wire.close()
        assert fetch.result(PATIENCE).status == 200
    assert server.get("/flaky?ms=800").status == 200
    wait_for(lambda: server.metrics()["http"]["active_requests"] == 0, "no request under way")


# -- failures -----------------------------------------------------------------------------------------------------------------

def test_stale__the_last_good_copy_until_it_works_again(lab):
    server = lab(**ONE_WORKER, CACHE_TTL="0.2", ACCESS_LOG="-")
    good = server.get("/flaky")
    (server.folder / "down").touch()
    time.sleep(1.2)
    old = server.get("/flaky")
    assert (old.status, old.body, old.header("ETag")) == (200, good.body, good.header("ETag"))
    assert int(old.header("Age")) >= 1
    assert "stale-if-error" in old.header("Cache-Control")
    assert server.get("/flaky", {"If-None-Match": good.header("ETag")}).status == 304
    assert_problem(server.get("/flaky?ms=1"), 503)      # another key: no copy to fall back on
    (server.folder / "down").unlink()
    new = server.get("/flaky")
    assert new.status == 200 and new.body != good.body and new.header("Age") is None
    assert cache(server)["stale"] == 2


def overwrite(path, keep):
    """Not a readable byte in the same file."""
    shutil.copy(path, keep)
    with open(path, "r+b") as file:
        file.write(random.Random(1).randbytes(os.path.getsize(keep)))


def replace(path, keep):
    os.rename(path, keep)
    path.write_bytes(random.Random(2).randbytes(100_000))


def remove(path, keep):
    os.rename(path, keep)


BREAKS = {     # how the database breaks, and how it is repaired
    "overwritten": (overwrite, lambda path, keep: shutil.copyfile(keep, path)),
    "replaced": (replace, lambda path, keep: os.rename(keep, path)),
    "removed": (remove, lambda path, keep: os.rename(keep, path)),
}


@pytest.mark.parametrize("how", BREAKS)
def test_stale__the_database_breaks_and_comes_back(serve, how):
    server = serve(MAX_WORKERS="2", CACHE_TTL="0.2", DB_POOL_TIMEOUT="600")     # nobody waits for so long
    path, keep = server.db_path, server.folder / "keep.db"
    codes = [row["code"] for row in server.rows("SELECT code FROM spa_therapist_certificates WHERE is_public = 1")]
    breaks, repairs = BREAKS[how]
    many = range(24)                                     # connections enough to reach both workers

    good = [server.get(TEMPLATES) for _ in many][0]
    breaks(path, keep)

    def broken():
        """Asked for rows that no connection has in its memory yet: 5xx on every connection."""
        answers = [server.get(f"/api/certificates/{random.choice(codes)}") for _ in many]
        return all(answer.status >= 500 for answer in answers) and answers
    for answer in wait_for(broken, "the database to be found broken"):
        assert_problem(answer, {500, 503})
    wait_for(lambda: all(server.get(TEMPLATES).header("Age") is not None for _ in many), "copies to be old")
    assert {(a.status, a.body) for a in (server.get(TEMPLATES) for _ in many)} == {(200, good.body)}
    assert server.get("/health").status == 200
    wait_for(lambda: {server.get("/health/ready").status for _ in many} == {503}, "not to be ready")
    assert path.exists() == (how != "removed"), "an empty database was put in the place of the one that is gone"

    repairs(path, keep)
    wait_for(lambda: {server.get(f"/api/certificates/{codes[0]}").status for _ in many} == {200},
             "the database to be used again")
    wait_for(lambda: all(server.get(TEMPLATES).header("Age") is None for _ in many), "fresh copies")
    wait_for(lambda: {server.get("/health/ready").status for _ in many} == {200}, "to be ready")


# -- invalidation ------------------------------------------------------------------------------------------------------------

class Counter:
    """Writers and readers of /count that hold the service to its word: who asks after a write's answer sees it."""

    def __init__(self, server):
        self.server = server
        self.lock = threading.Lock()
        self.answered = 0            # the largest value that any POST's answer has told
        self.posts = self.reads = 0
        self.wrong = []

    def write(self, count, readers):
        wires = [self.server.connect() for _ in range(readers)]
        for i in range(count):
            answer = wires[0].request("POST", "/count")
            assert answer.status == 200, answer
            value = answer.json()["value"]
            with self.lock:
                self.posts += 1
                self.answered = max(self.answered, value)
            for wire in wires[1:]:
                self.read(wire)
        for wire in wires:
            wire.close()

    def read(self, wire):
        with self.lock:
            floor = self.answered
        value = wire.get("/count").json()["value"]
        with self.lock:
            self.reads += 1
            if value < floor:
                self.wrong.append((floor, value))


def test_invalidation__no_reader_sees_less_than_a_writer_was_told(lab):
    server = lab(MAX_WORKERS="4")
    counter = Counter(server)
    together(6, lambda i: counter.write(60, 9))
    pids = {server.request("POST", "/count").json()["pid"] for _ in range(30)}
    assert len(pids) > 1, "only one worker was ever asked"
    assert counter.reads >= 2800
    assert not counter.wrong, f"{len(counter.wrong)} of {counter.reads} saw old values: {counter.wrong[:5]}"
    told = counter.posts + 30
    assert server.get("/count/now").json()["value"] == told
    assert server.rows("SELECT value FROM counter")[0]["value"] == told
    assert server.rows("SELECT count(*) AS n FROM notes")[0]["n"] == told
    assert cache(server)["hits"] > 0, "the cache took no part"


def test_invalidation__a_fetch_under_way_is_not_shared_with_who_comes_after_a_write(lab):
    """/count while the writer commits: a waiter may not join a fetch that began before its client's write."""
    server = lab(**ONE_WORKER)
    counter = Counter(server)
    together(8, lambda i: counter.write(40, 4))
    assert not counter.wrong, counter.wrong[:5]


def test_invalidation__outlives_a_killed_worker(lab):
    server = lab(MAX_WORKERS="2")
    server.get("/count")
    for _ in range(3):
        before = server.request("POST", "/count").json()["value"]
        with pytest.raises(Closed):
            server.get("/crash")
        wait_for(lambda: len(server.workers()) == 2, "the worker to be replaced")
        assert {server.get("/count").json()["value"] for _ in range(10)} == {before}
