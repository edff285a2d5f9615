# SPDX-License-Identifier: MIT
"""What an operator is told of slow statements, of requests with many, and of times: log, SLOW_LOG, Server-Timing."""
import os
import re
import threading

import pytest

from harness import sanad, wait_for

SLOW = "/count/to?times=200000"          # some tens of milliseconds in SQLite


def lines(server, what):
    """The log's lines with that message."""
    return [line for line in server.log().splitlines() if f"] {what}" in line]


def slow_lines(server):
    return [line for line in lines(server, "slow query") if "count_to" in line]


def records(path):
    """The records of a file in MySQL's form."""
    return [text for text in path.read_text().split("# Time: ") if text]


def timing(answer):
    """Server-Timing (W3C) as {name: (milliseconds, text)}."""
    parts = {}
    for metric in answer.header("Server-Timing").split(", "):
        name, *params = metric.split(";")
        values = dict(param.split("=", 1) for param in params)
        parts[name] = float(values.get("dur", "nan")), values.get("desc", "").strip('"')
    return parts


# -- the log -----------------------------------------------------------------------------------------------------------

def test_slow_statement__is_one_line_with_who_and_where_but_no_value(lab):
    server = lab(SLOW_QUERY_MS=1, MAX_WORKERS=1)
    assert server.get(SLOW, {"X-Request-Id": "slow-1"}).json()["value"] == 200000
    line, = slow_lines(server)
    assert re.search(r"\[worker 0 \d+\] slow query statement=count_to ms=\d+ rows=1 changes=0 "
                     r"route=/count/to request_id=slow-1$", line), line
    assert "200000" not in line


def test_slow_statement__off_and_quick(lab):
    server = lab(SLOW_QUERY_MS=0)
    assert server.get(SLOW).status == 200
    server.stop()
    server.settings["SLOW_QUERY_MS"] = "60000"
    server.start()
    assert server.get(SLOW).status == 200
    assert not lines(server, "slow query")


def test_debug__adds_the_plan(lab):
    server = lab(SLOW_QUERY_MS=1, DEBUG="True")
    for _ in range(3):
        assert server.get(SLOW).status == 200
    told = slow_lines(server)
    assert len(told) == 3 and "plan=" in told[0]
    assert "SEARCH counter USING INTEGER PRIMARY KEY (rowid=?)" in told[0], told[0]
    assert "200000" not in told[0]
    assert server.metrics()["invalid"] == 0


def test_client_gone__while_its_statement_is_slow(lab):
    server = lab(SLOW_QUERY_MS=1, DEBUG="True", MAX_WORKERS=1)
    for n in range(3):
        with server.connect() as wire:
            wire.send(b"GET /count/to?times=1000000 HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_for(lambda: server.metrics()["checked_out"] == 1, "the statement to run")
        wait_for(lambda: len(slow_lines(server)) == n + 1, "the slow statement of nobody to be told")
        wait_for(lambda: server.metrics()["checked_out"] == 0, "its connection to be back")
    assert server.get(SLOW).status == 200
    assert server.metrics()["invalid"] == 0


# -- MySQL's form ------------------------------------------------------------------------------------------------------

def test_slow_log__holds_whole_records_of_all_workers(lab, tmp_path):
    path = tmp_path / "slow.log"
    server = lab(SLOW_QUERY_MS=1, SLOW_LOG=path, MAX_WORKERS=4)

    def ask(index):
        for n in range(10):
            assert server.get("/count/to?times=20000", {"X-Request-Id": f"r-{index}-{n}"}).status == 200

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    form = re.compile(
        r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\n"
        r"# User@Host: sanad\[sanad\] @ localhost \[\]  Id: \d+\n"
        r"# Query_time: \d+\.\d{6}  Lock_time: 0\.000000  Rows_sent: \d+  Rows_examined: 0\n"
        r"# Rows_affected: \d+\n"
        r"SET timestamp=\d+;\n"
        r"[^;]* /\* name=(\w+) route=(\S+) request_id=(\S+) \*/;\n")
    found = [form.fullmatch(text) for text in records(path)]
    assert all(found), records(path)[found.index(None)]
    ours = [match.groups() for match in found if match.group(1) == "count_to"]
    assert {route for _, route, _ in ours} == {"/count/to"}
    assert sorted(request for _, _, request in ours) == sorted(f"r-{i}-{n}" for i in range(8) for n in range(10))
    assert "20000" not in re.sub(r"# .*|SET .*", "", path.read_text())
    assert oct(os.stat(path).st_mode & 0o777) == "0o640"


@pytest.mark.parametrize("hostile", ["*/ DROP TABLE counter; /*", "x; -- y", "a\tb", "# Time: 2026", "<>", "%0a", "é"])
def test_slow_log__a_hostile_request_id_is_not_in_it(lab, tmp_path, hostile):
    path = tmp_path / "slow.log"
    server = lab(SLOW_QUERY_MS=1, SLOW_LOG=path)
    answer = server.get(SLOW, {"X-Request-Id": hostile})
    assert answer.status == 200
    text = path.read_text()
    assert f"request_id={answer.header('X-Request-Id')} */;\n" in text
    assert hostile not in text.replace("# Time: 2026", "", 1)


def test_slow_log__moved_away_is_made_anew(lab, tmp_path):
    path, moved = tmp_path / "slow.log", tmp_path / "slow.log.1"
    server = lab(SLOW_QUERY_MS=1, SLOW_LOG=path, MAX_WORKERS=1)
    assert server.get(SLOW).status == 200
    path.rename(moved)
    before = moved.read_text()
    wait_for(lambda: server.get(SLOW).status == 200 and path.exists(), "a new file")
    assert records(path) and moved.read_text().startswith(before)


def test_slow_log__that_cannot_be_written_harms_nobody(lab):
    server = lab(SLOW_QUERY_MS=1, SLOW_LOG="/dev/full", MAX_WORKERS=1)
    for _ in range(3):
        assert server.get(SLOW).status == 200
    assert len(lines(server, "slow log records dropped")) == 1
    assert "No space left" in lines(server, "slow log records dropped")[0]
    assert server.metrics()["slow_log"]["dropped_records"] >= 3


def test_slow_log__that_cannot_be_opened_stops_the_start(tmp_path):
    done = sanad(tmp_path, "serve", settings={"SLOW_LOG": "/nonexistent/slow.log", "PORT": "0"}, status=1)
    assert "SLOW_LOG /nonexistent/slow.log (No such file or directory)" in done.stderr


# -- many statements for one request -----------------------------------------------------------------------------------

def test_many_statements__are_one_line(lab):
    server = lab(MAX_WORKERS=1)
    assert server.get("/many?times=10").status == 200
    assert not lines(server, "many statements")
    assert server.get("/many?times=11", {"X-Request-Id": "many-1"}).status == 200
    line, = lines(server, "many statements")
    assert re.search(r"many statements for one request statements=11 db_ms=\d+ route=/many request_id=many-1$", line)


def test_many_statements__as_many_as_allowed(lab):
    server = lab(QUERY_COUNT_WARN=0)
    assert server.get("/many?times=500").status == 200
    server.stop()
    server.settings["QUERY_COUNT_WARN"] = "2"
    server.start()
    assert server.get("/many?times=3").status == 200
    assert len(lines(server, "many statements")) == 1


def test_many_statements__pages_of_ours_have_few(serve):
    server = serve(CACHE_ENABLED="False")
    page = server.get("/api/certificates/public?limit=100").json()
    assert len({row["category"] for row in page}) >= 6
    for target in (f"/api/certificates/{page[0]['code']}", "/api/certificates/public?limit=100&skip=400", "/api/spas",
                   "/api/certificates/public?category=id_card", "/api/certificates/templates"):
        assert server.get(target).status == 200
    assert not lines(server, "many statements")


# -- times -------------------------------------------------------------------------------------------------------------

def test_server_timing__is_told_when_debugging(lab):
    server = lab(DEBUG="True", MAX_WORKERS=1)
    times = timing(server.get("/many?times=5"))
    assert list(times) == ["pool", "db", "total"]
    assert times["db"][1] == "statements=5"
    assert 0 < times["db"][0] <= times["total"][0]
    assert 0 <= times["pool"][0] <= times["total"][0]
    assert timing(server.get("/slow?ms=50"))["total"][0] >= 45
    assert list(timing(server.get("/nowhere"))) == ["total"]
    assert list(timing(server.request("POST", "/echo", body=b"x"))) == ["total"]


def test_server_timing__not_without_debug(lab):
    server = lab()
    assert server.get("/many?times=5").header("Server-Timing") is None
    assert server.get("/nowhere").header("Server-Timing") is None


def test_server_timing__of_a_cached_response_is_its_own(lab):
    server = lab(DEBUG="True", MAX_WORKERS=1)
    with server.connect() as wire:
        missed, hit = (timing(wire.get("/many/cached?times=7")) for _ in range(2))
        etag = wire.get("/many/cached?times=7").header("ETag")
        unchanged = wire.get("/many/cached?times=7", {"If-None-Match": etag})
    assert list(missed) == ["cache", "pool", "db", "total"] and missed["cache"][1] == "MISS"
    assert list(hit) == ["cache", "total"] and hit["cache"][1] == "HIT"
    assert hit["total"] != missed["total"]
    assert unchanged.status == 304 and timing(unchanged)["cache"][1] == "HIT"


def test_server_timing__of_those_who_wait_for_one_another(lab):
    server = lab(DEBUG="True", MAX_WORKERS=1)
    wires = [server.connect() for _ in range(3)]
    for wire in wires:
        wire.send(b"GET /flaky?ms=300 HTTP/1.1\r\nHost: x\r\n\r\n")
    answers = [wire.response() for wire in wires]
    for wire in wires:
        wire.close()
    assert sorted(timing(answer)["cache"][1] for answer in answers) == ["MISS", "SHARED", "SHARED"]
    assert len({answer.body for answer in answers}) == 1


# -- the histogram -----------------------------------------------------------------------------------------------------

def test_metrics__time_each_statement_under_its_name(lab):
    server = lab(MAX_WORKERS=2)
    for _ in range(4):
        assert server.get("/many?times=3").status == 200
    text = server.get("/metrics?format=prometheus").body.decode()
    name = "db_client_operation_duration_seconds"
    assert f"# TYPE {name} histogram" in text
    assert f'{name}_count{{db_operation_name="counter_read"}} 12' in text
    buckets = re.findall(name + r'_bucket\{db_operation_name="counter_read",le="([^"]+)"\} (\d+)', text)
    counts = [int(count) for _, count in buckets]
    assert buckets[-1] == ("+Inf", "12") and counts == sorted(counts)
