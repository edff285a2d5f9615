# SPDX-License-Identifier: MIT
"""The logs under hostile clients, and the trace (W3C Trace Context) that a request is part of, in all of them."""
import json
import random
import re
import sqlite3
import time

import pytest

from harness import wait_for

ID, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADER = f"00-{ID}-{PARENT}-01"
SLOW = "/count/to?times=200000"

# Keys that a line of the access log always has, and those that it may have.
ALWAYS = {"time", "remote", "method", "target", "status", "bytes", "duration_us", "protocol", "request_id", "worker"}
SOMETIMES = {"proxy", "route", "cache", "referer", "user_agent", "trace_id", "parent_id"}


def raw(server, *fields, target=b"/slow"):
    """A request with these header lines, as they are; its status, or None when there was no answer."""
    with server.connect() as wire:
        wire.send(b"GET " + target + b" HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n" +
                  b"".join(field + b"\r\n" for field in fields) + b"\r\n")
        answers = wire.all_responses()
        return answers[0].status if answers else None


def json_lines(text):
    """Without what a sanitizer says of itself. (splitlines() would split at U+2028, too.)"""
    return [json.loads(line) for line in text.split("\n") if line and not line.startswith("==")]


def line_of(server, path, request_id):
    """The line of a request in an access log of JSON."""
    def found():
        return [line for line in json_lines(path.read_text()) if line["request_id"] == request_id]
    line, = wait_for(found, "the line")
    return line


# -- JSON lines ------------------------------------------------------------------------------------------------------

def hostile_texts():
    rng = random.Random(11)
    yield from (b'"', b"\\", b'","status":999,"x":"', b"\xff\xfe\x80", b"\xc3\xa9", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"\xc0\xaf",
                b"\xe2\x80\xa8", b"\t", b"'; DROP TABLE users; --", b"<script>", b"%00%0a%22", b"x" * 7000, b"\xff" * 3000,
                b"\xe2\x82" * 900, b'"' * 3000)
    for _ in range(200):
        yield bytes(rng.choice(b'"\\\t abc/{}:,\x80\xc3\xa9\xe2\x82\xac\xf0\x9f\xff') for _ in range(rng.randrange(1, 60))).strip()


def test_json_lines__are_valid_whatever_a_client_sends(lab, tmp_path):
    path = tmp_path / "access.log"
    server = lab(ACCESS_LOG=path, LOG_FORMAT="json", LOG_LEVEL="debug", MAX_WORKERS=2)
    asked = 0
    for text in hostile_texts():
        raw(server, b"User-Agent: " + text, b"Referer: " + text, b"X-Request-Id: " + text, b"traceparent: " + text)
        raw(server, target=b"/" + text)
        asked += 2
    for odd in (b"\x00", b"\x01", b"\x1b[31m", b"\r", b"\n", b"\x7f"):      # refused, and told of all the same
        raw(server, b"User-Agent: a" + odd + b"b")
        raw(server, target=b"/a" + odd + b"b")
        asked += 2
    with server.connect() as wire:
        wire.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n")
        wire.all_responses()
    server.stop()
    data = path.read_bytes()
    assert all(len(line) <= 4096 for line in data.splitlines(keepends=True))
    lines = json_lines(data.decode())                   # UTF-8, strictly
    assert len(lines) >= asked
    for line in lines:
        missing, strange = ALWAYS - set(line), set(line) - ALWAYS - SOMETIMES
        assert not strange and (not missing or missing <= {"method", "target"}), line
        assert isinstance(line["status"], int) and line["status"] != 999
    for line in json_lines(server.log()):
        assert {"time", "level", "process", "pid", "message"} <= set(line), line


def test_json_lines__have_each_key_once(lab, tmp_path):
    path = tmp_path / "access.log"
    server = lab(ACCESS_LOG=path, LOG_FORMAT="json")
    raw(server, b"traceparent: " + HEADER.encode(), b"Referer: a", b"Referer: b", b"User-Agent: a", b"User-Agent: b")
    server.stop()
    for line in path.read_text().splitlines():
        keys = [key for key, _ in json.loads(line, object_pairs_hook=list)]
        assert len(keys) == len(set(keys)), line


# -- the trace -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("fields,known", [
    ([f"traceparent: {HEADER}"], True),
    ([f"TraceParent:{HEADER}  "], True),
    ([f"traceparent: cc-{ID}-{PARENT}-01-later"], True),
    ([f"traceparent: {HEADER}", "tracestate: congo=t61rcWkgMzE"], True),
    ([], False),
    ([f"traceparent: {HEADER.upper()}"], False),
    ([f"traceparent: {HEADER}-more"], False),
    ([f"traceparent: ff-{ID}-{PARENT}-01"], False),
    ([f"traceparent: 00-{'0' * 32}-{PARENT}-01"], False),
    ([f"traceparent: 00-{ID}-{'0' * 16}-01"], False),
    ([f"traceparent: {HEADER}", f"traceparent: {HEADER}"], False),
    ([f"trace-parent: {HEADER}"], False),
    (["traceparent:"], False),
])
def test_access_log__tells_the_trace_of_a_valid_header(lab, tmp_path, fields, known):
    path = tmp_path / "access.log"
    server = lab(ACCESS_LOG=path, LOG_FORMAT="json", MAX_WORKERS=1)
    with server.connect() as wire:                      # on one connection: nothing stays from the request before
        wire.get("/slow", {"traceparent": f"00-{'1' * 32}-{'2' * 16}-00", "X-Request-Id": "before"})
        wire.send("".join(f"{field}\r\n" for field in
                          ("GET /slow HTTP/1.1", "Host: lab", "X-Request-Id: this", *fields, "")).encode())
        assert wire.response().status == 200
        wire.get("/slow", {"X-Request-Id": "after"})
    line = line_of(server, path, "this")
    told = (line.get("trace_id"), line.get("parent_id"))
    assert told == ((ID, PARENT) if known else (None, None))
    assert line_of(server, path, "before")["trace_id"] == "1" * 32
    assert "trace_id" not in line_of(server, path, "after")


def test_access_log__tells_the_trace_as_text(lab, tmp_path):
    path = tmp_path / "access.log"
    server = lab(ACCESS_LOG=path)
    server.get("/slow", {"traceparent": HEADER, "X-Request-Id": "traced"})
    server.get("/slow", {"X-Request-Id": "untraced"})
    server.stop()
    text = path.read_text()
    assert re.search(rf" traced \d {ID}-{PARENT}$", text, re.MULTILINE)
    assert re.search(r" untraced \d$", text, re.MULTILINE)


def test_refused_request__is_told_with_its_trace(lab, tmp_path):
    path = tmp_path / "access.log"
    server = lab(ACCESS_LOG=path, LOG_FORMAT="json")
    server.get("/nowhere", {"traceparent": HEADER, "X-Request-Id": "lost"})
    line = line_of(server, path, "lost")
    assert (line["status"], line["trace_id"]) == (404, ID)


def test_slow_statement__is_told_with_the_trace(lab, tmp_path):
    slow = tmp_path / "slow.log"
    server = lab(SLOW_QUERY_MS=1, SLOW_LOG=slow, QUERY_COUNT_WARN=1, MAX_WORKERS=1)
    server.get(SLOW, {"traceparent": HEADER, "X-Request-Id": "traced"})
    server.get(SLOW, {"X-Request-Id": "untraced"})
    told = [line for line in server.log().splitlines() if "slow query statement=count_to" in line]
    assert told[0].endswith(f"request_id=traced trace_id={ID} parent_id={PARENT}")
    assert told[1].endswith("request_id=untraced")
    text = slow.read_text()
    assert f"request_id=traced trace_id={ID} parent_id={PARENT} */;" in text
    assert "request_id=untraced */;" in text


def test_limited_client__is_told_with_the_trace(lab):
    server = lab(RATE_LIMIT_ENABLED="True", RATE_LIMIT_PER_MINUTE=1, MAX_WORKERS=1, LOG_FORMAT="json")
    for _ in range(3):
        server.get("/slow", {"traceparent": HEADER})
    told = [line for line in json_lines(server.log()) if line["message"] == "client asks too often"]
    assert told and (told[0]["trace_id"], told[0]["parent_id"]) == (ID, PARENT)


def test_failed_request__is_told_with_its_id_and_trace(lab):
    server = lab(MAX_WORKERS=1)
    with sqlite3.connect(server.db_path) as db:
        db.execute("DROP TABLE counter")
    assert server.get("/count/now", {"traceparent": HEADER, "X-Request-Id": "unlucky"}).status == 500
    line, = [line for line in server.log().splitlines() if "request failed" in line]
    assert re.search(rf" error \[worker 0 \d+\] request failed status=500 method=GET route=/count/now "
                     rf"request_id=unlucky trace_id={ID} parent_id={PARENT} others=0$", line)


def test_failed_requests__are_told_of_but_do_not_flood_the_log(lab):
    server = lab(MAX_WORKERS=1)
    with sqlite3.connect(server.db_path) as db:
        db.execute("DROP TABLE counter")
    with server.connect() as wire:
        for _ in range(300):
            assert wire.get("/count/now").status == 500
        time.sleep(0.2)
        assert wire.get("/count/now").status == 500
    others = [int(number) for number in re.findall(r"request failed .* others=(\d+)", server.log())]
    assert len(others) + sum(others) == 301
    assert len(others) < 300


def test_refused_and_unavailable__are_no_failures(lab):
    server = lab(MAX_WORKERS=1)
    (server.folder / "down").touch()
    assert server.get("/flaky?ms=1").status == 503
    assert server.get("/nowhere").status == 404
    assert server.raw(b"BREW / HTTP/1.1\r\nHost: lab\r\n\r\n")[0].status == 501
    server.stop()
    assert "request failed" not in server.log()
