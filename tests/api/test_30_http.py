# SPDX-License-Identifier: MIT
"""What HTTP/1.1 promises beyond single requests: keeping connections, pipelines, bodies, time limits, files."""
import hashlib
import socket
import time

import pytest

from harness import ROOT, Closed, assert_problem, wait_for


def blake(data):
    return hashlib.blake2b(data, digest_size=16).hexdigest()


# -- connections ----------------------------------------------------------------------------------------------------

def test_keep_alive__many_requests_on_one_connection(lab):
    server = lab(MAX_WORKERS=1)
    with server.connect() as wire:
        for _ in range(50):
            assert wire.get("/count").json() == {"value": 0}
    assert server.metrics()["connections"]["accepted"] >= 2


def test_keep_alive__an_idle_connection_is_closed_in_silence(lab):
    server = lab(KEEP_ALIVE="1")
    with server.connect() as wire:
        assert wire.get("/health").status == 200
        assert wire.closed()


def test_http_1_0__closes_unless_asked_to_keep(lab):
    server = lab()
    assert server.raw(b"GET /health HTTP/1.0\r\n\r\n")[0].header("Connection") == "close"
    with server.connect() as wire:
        for _ in range(2):
            wire.send(b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert wire.response().header("Connection") == "keep-alive"


def test_pipeline__answers_in_order_whatever_each_takes(lab):
    server = lab(MAX_WORKERS=1)
    waits = [120, 0, 60, 0, 0, 30]
    requests = b"".join(b"GET /slow?ms=%d HTTP/1.1\r\nHost: x\r\nX-Request-Id: r%d\r\n\r\n" % (ms, i)
                        for i, ms in enumerate(waits))
    with server.connect() as wire:
        wire.send(requests)
        answers = [wire.response() for _ in waits]
    assert [a.json()["value"] for a in answers] == waits
    assert [a.header("X-Request-Id") for a in answers] == [f"r{i}" for i in range(len(waits))]


def test_pipeline__thousands_of_cached_answers(lab):
    server = lab(MAX_WORKERS=1)
    one = b"GET /count HTTP/1.1\r\nHost: x\r\n\r\n"
    with server.connect() as wire:
        wire.get("/count")
        wire.send(one * 3000)
        for _ in range(3000):
            assert wire.response().json() == {"value": 0}


def test_request__byte_by_byte(lab):
    server = lab()
    with server.connect() as wire:
        for byte in b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n":
            wire.send(bytes([byte]))
        assert wire.response().json() == {"length": 5, "hash": blake(b"hello")}


def test_head__is_get_without_the_body(lab):
    server = lab()
    with server.connect() as wire:
        whole, bare = wire.get("/count"), wire.request("HEAD", "/count")
        assert bare.header("Content-Length") == whole.header("Content-Length") == str(len(whole.body))
        assert bare.header("ETag") == whole.header("ETag")
        assert wire.get("/count").status == 200


# -- bodies -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("size", [0, 1, 1000, 65536, 70000, 3_000_000])
def test_body__of_a_length(lab, size):
    data = bytes(i * 7 % 251 for i in range(size))
    server = lab()
    with server.connect() as wire:
        for _ in range(2):
            assert wire.request("POST", "/echo", body=data).json() == {"length": size, "hash": blake(data)}


def test_body__in_chunks_of_all_sizes(lab):
    server = lab()
    data, parts = b"", []
    for size in [1, 2, 15, 16, 17, 255, 4096, 65535, 70001]:
        piece = bytes([size % 256]) * size
        data += piece
        parts.append(b"%x;note=\"x\"\r\n%s\r\n" % (size, piece))
    with server.connect() as wire:
        wire.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n" + b"".join(parts)
                  + b"0\r\nX-Trailer: gone\r\n\r\n")
        assert wire.response().json() == {"length": len(data), "hash": blake(data)}
        assert wire.get("/health").status == 200


def test_body__expect_100_continue_is_answered_when_the_body_is_wanted(lab):
    server = lab()
    with server.connect() as wire:
        wire.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert wire._until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.send(b"body")
        assert wire.response().json()["length"] == 4


def test_body__expect_100_continue_is_not_answered_when_it_is_not_wanted(lab):
    server = lab()
    with server.connect() as wire:
        wire.send(b"POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        head = wire._until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ") and b"Connection: close" in head


def test_body__too_large_is_refused_before_it_is_read(lab):
    server = lab(MAX_BODY_BYTES="1024")
    with server.connect() as wire:
        wire.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1025\r\n\r\n")
        answer = wire.response()
        assert_problem(answer, 413)
        assert answer.header("Connection") == "close"
    assert server.request("POST", "/echo", body=b"x" * 1024).json()["length"] == 1024


def test_body__too_large_in_chunks(lab):
    server = lab(MAX_BODY_BYTES="1024")
    with server.connect() as wire:
        wire.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"100\r\n%s\r\n" % (b"y" * 256) * 5)
        assert_problem(wire.response(), 413)


def test_body__unread_never_becomes_the_next_request(lab):
    server = lab()
    smuggled = b"GET /crash HTTP/1.1\r\nHost: x\r\n\r\n"
    answers = server.raw(b"POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(smuggled) + smuggled
                         + b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert [a.status for a in answers] in ([200], [200, 200])
    assert server.metrics()["workers"][0]["restarts"] == 0


def test_body__cut_short_by_the_client_cancels_the_handler(lab):
    server = lab(MAX_WORKERS=1)
    with server.connect() as wire:
        wire.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        wait_for(lambda: server.metrics()["http"]["active_requests"] >= 1, "the request to be under way")
    wait_for(lambda: server.metrics()["http"]["active_requests"] == 0, "the handler to be cancelled")


# -- slow clients ---------------------------------------------------------------------------------------------------

def test_large_body__arrives_whole_though_the_client_reads_late(lab):
    server = lab(MAX_WORKERS=1)
    size = 8_000_000
    for path in ("/big", "/big/inline"):
        with server.connect() as wire:
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            wire.send(b"GET %s?bytes=%d HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n"
                      % (path.encode(), size))
            time.sleep(0.3)
            assert server.get("/health").status == 200       # nobody waits for that client
            assert wire.response().body == b"x" * size
            assert wire.response().json()["status"] == "healthy"


def test_large_body__a_client_that_never_reads_holds_nothing_up(lab):
    server = lab(MAX_WORKERS=1)
    wires = [server.connect() for _ in range(20)]
    for wire in wires:
        wire.send(b"GET /big?bytes=4000000 HTTP/1.1\r\nHost: x\r\n\r\n")
    for _ in range(20):
        assert server.get("/count").json() == {"value": 0}
    for wire in wires:
        wire.close()
    wait_for(lambda: server.metrics()["connections"]["open"] <= 2, "the connections to go")


def test_client_gone__its_handler_is_cancelled(lab):
    server = lab(MAX_WORKERS=1)
    with server.connect() as wire:
        wire.send(b"GET /slow?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: server.metrics()["http"]["active_requests"] == 1, "the request to be under way")
    wait_for(lambda: server.metrics()["http"]["active_requests"] == 0, "the handler to be cancelled")
    assert server.metrics()["http"]["cancelled"] == 1


def test_head__sent_too_slowly_is_408(lab):
    server = lab(HEADER_TIMEOUT="1")
    with server.connect() as wire:
        wire.send(b"GET /health HTTP/1.1\r\nHo")
        answer = wire.response()
        assert_problem(answer, 408)
        assert answer.header("Connection") == "close"


# -- options, methods -----------------------------------------------------------------------------------------------

def test_options__of_a_path_and_of_everything(lab):
    server = lab()
    answer = server.request("OPTIONS", "/count")
    assert answer.status == 204
    assert set(answer.header("Allow").split(", ")) == {"GET", "HEAD", "POST", "OPTIONS"}
    assert server.request("OPTIONS", "*").status == 204


# -- files -----------------------------------------------------------------------------------------------------------

def test_files__ranges_and_conditions(serve):
    server = serve()
    whole = (ROOT / "web" / "assets" / "page.css").read_bytes()
    full = server.get("/assets/page.css")
    assert full.body == whole and full.header("Content-Type").startswith("text/css")
    part = server.get("/assets/page.css", {"Range": "bytes=10-19"})
    assert (part.status, part.body) == (206, whole[10:20])
    assert part.header("Content-Range") == f"bytes 10-19/{len(whole)}"
    assert server.get("/assets/page.css", {"Range": "bytes=-5"}).body == whole[-5:]
    assert server.get("/assets/page.css", {"Range": f"bytes={len(whole)}-"}).status == 416
    assert server.get("/assets/page.css", {"If-None-Match": full.header("ETag")}).status == 304
    assert server.get("/assets/page.css", {"If-Modified-Since": full.header("Last-Modified")}).status == 304


@pytest.mark.parametrize("path", [
    "/assets/../index.html", "/assets/%2e%2e/index.html", "/assets/..%2findex.html", "/assets/%2fetc%2fpasswd",
    "/assets//etc/passwd", "/assets/.hidden", "/assets/page.css/", "/assets/page.css%00.html", "/assets",
    "/assets/out", "/assets/folder-out/passwd"])
def test_files__no_way_out_of_the_folder(serve, tmp_path, path):
    web = tmp_path / "web"
    (web / "assets").mkdir(parents=True)
    (web / "index.html").write_text("front")
    (web / "assets" / "page.css").write_text("css")
    (web / "assets" / ".hidden").write_text("hidden")
    (web / "assets" / "out").symlink_to("/etc/passwd")
    (web / "assets" / "folder-out").symlink_to("/etc")
    server = serve(WEB_DIR=web)
    assert server.get("/").body == b"front"
    assert_problem(server.get(path), {400, 404})


def test_files__a_large_one_arrives_whole(serve, tmp_path):
    web = tmp_path / "web"
    (web / "assets").mkdir(parents=True)
    data = bytes(i * 31 % 256 for i in range(1_000_003))
    (web / "assets" / "large.bin").write_bytes(data)
    server = serve(WEB_DIR=web)
    with server.connect() as wire:
        for _ in range(2):
            assert wire.get("/assets/large.bin").body == data


def test_closed_is_what_a_cut_answer_raises(lab):
    """The harness itself: a server that dies mid-answer is seen, not overlooked."""
    server = lab(MAX_WORKERS=1)
    with pytest.raises(Closed):
        server.get("/crash")
    wait_for(lambda: len(server.workers()) == 1 and server.get("/health").status == 200, "a new worker")


# -- time limits ----------------------------------------------------------------------------------------------------------

def test_body__that_stops_coming_is_408(lab):
    server = lab(BODY_TIMEOUT="1")
    with server.connect() as wire:
        wire.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        assert_problem(wire.response(), 408)
        assert wire.closed()


def test_client__that_takes_nothing_of_its_answer_is_cut_off(lab):
    server = lab(MAX_WORKERS=1, WRITE_TIMEOUT="1")
    with server.connect() as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        wire.send(b"GET /big?bytes=30000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: server.metrics()["connections"]["timeouts"] >= 1, "the client to be cut off")
        wait_for(lambda: server.metrics()["connections"]["open"] == 1, "its connection to go")    # that of the question
    assert server.get("/health").status == 200
