# SPDX-License-Identifier: MIT
"""Whom the server takes the client for: headers of proxies, the PROXY protocol, and what follows from it."""
import json
import shutil
import socket
import struct
import subprocess
import time

import pytest

from harness import Closed, Lab, Response, assert_problem, wait_for

PROXY, STRANGER, TESTER = "127.0.0.2", "127.0.0.3", "127.0.0.1"
TRUSTING = {"MAX_WORKERS": "1", "TRUSTED_PROXIES": f"{PROXY}/32, 10.0.0.0/8", "ACCESS_LOG": "access.log"}
WHOAMI = b"GET /whoami HTTP/1.1\r\nHost: lab\r\n\r\n"


@pytest.fixture(scope="module")
def trusting(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("lab"), TRUSTING) as server:
        yield server


@pytest.fixture(scope="module")
def balanced(tmp_path_factory):
    """Behind a balancer that speaks the PROXY protocol; the time for it is short."""
    settings = {**TRUSTING, "PROXY_PROTOCOL": "True", "HEADER_TIMEOUT": "1.5", "KEEP_ALIVE": "60"}
    with Lab(tmp_path_factory.mktemp("balanced"), settings) as server:
        yield server


def whoami(server, source, *lines):
    """What /whoami answers to that peer with those header lines."""
    with server.connect(source) as wire:
        wire.send("\r\n".join(["GET /whoami HTTP/1.1", "Host: lab", *lines, "", ""]).encode("latin-1"))
        answer = wire.response()
        assert answer.status == 200, answer
        return answer.json()


def log_line(server, mark):
    """The access log's line of the request whose id or target holds `mark`."""
    path = server.folder / "access.log"
    return wait_for(lambda: next((line for line in path.read_text().splitlines() if mark in line), None), "the log line")


# -- headers ----------------------------------------------------------------------------------------------------------

CLAIMS = [   # peer, header lines, the client
    (STRANGER, [], STRANGER),
    (STRANGER, ["X-Forwarded-For: 203.0.113.9"], STRANGER),
    (STRANGER, ["X-Forwarded-For: 127.0.0.2", "X-Real-IP: 10.0.0.1", "Forwarded: for=10.0.0.1"], STRANGER),
    (PROXY, [], PROXY),
    (PROXY, ["X-Forwarded-For: 203.0.113.9"], "203.0.113.9"),
    (PROXY, ["X-Forwarded-For: 198.51.100.1, 203.0.113.9"], "203.0.113.9"),
    (PROXY, ["X-Forwarded-For: 198.51.100.1", "x-forwarded-for: 203.0.113.9, 10.1.2.3"], "203.0.113.9"),
    (PROXY, ["X-Forwarded-For: \"198.51.100.1, [2001:DB8::9]:443 ,10.1.2.3:80"], "2001:db8::9"),
    (PROXY, ["X-Forwarded-For: ::ffff:203.0.113.9"], "203.0.113.9"),
    (PROXY, ["X_Forwarded_For: 203.0.113.9"], PROXY),
    (PROXY, ["Forwarded: for=\"198.51.100.1, for=\"[2001:db8::9]:_x\";proto=https, for=10.0.0.9"], "2001:db8::9"),
    (PROXY, ["X-Real-IP: 203.0.113.9"], "203.0.113.9"),
    (PROXY, ["X-Real-IP: 198.51.100.1", "X-Forwarded-For: 203.0.113.9"], "203.0.113.9"),
]
UNTOLD = [   # header lines of the proxy that leave it open who asks; the address that counts
    (["X-Forwarded-For: 203.0.113.9, unknown"], PROXY),
    (["X-Forwarded-For: 203.0.113.9, banana, 10.0.0.7"], "10.0.0.7"),
    (["X-Forwarded-For: fe80::1%eth0"], PROXY),
    (["Forwarded: for=_hidden"], PROXY),
    (["X-Forwarded-For: 203.0.113.9", "Forwarded: for=198.51.100.1"], PROXY),
    (["X-Real-IP: 203.0.113.9", "X-Real-IP: 198.51.100.1"], PROXY),
]


@pytest.mark.parametrize("peer, lines, client", CLAIMS)
def test_headers__say_who_asks_if_a_trusted_proxy_sends_them(trusting, peer, lines, client):
    told = whoami(trusting, peer, *lines)
    assert (told["client"], told["peer"], told["hidden"]) == (client, peer, False)
    assert told["via_proxy"] == (client != peer)


@pytest.mark.parametrize("lines, address", UNTOLD)
def test_headers__what_is_no_address_hides_the_client(trusting, lines, address):
    told = whoami(trusting, PROXY, *lines)
    assert (told["client"], told["peer"], told["hidden"]) == (address, PROXY, True)


def test_headers__ipv6_counts_by_its_64(trusting):
    keys = {whoami(trusting, PROXY, f"X-Forwarded-For: 2001:db8:1:2:{i:x}::{i:x}")["key"] for i in range(1, 20)}
    assert keys == {"2001:db8:1:2::/64"}
    assert whoami(trusting, PROXY, "X-Forwarded-For: ::ffff:203.0.113.9")["key"] == "203.0.113.9"


def test_headers__nobody_is_trusted_by_default(lab):
    server = lab(MAX_WORKERS=1)
    told = whoami(server, TESTER, "X-Forwarded-For: 203.0.113.9", "X-Real-IP: 203.0.113.9")
    assert told == {"client": TESTER, "peer": TESTER, "key": TESTER, "via_proxy": False, "hidden": False}


def test_headers__each_request_of_a_connection_has_its_own(trusting):
    with trusting.connect(PROXY) as wire:
        for i in (1, 2, 3):
            assert wire.get("/whoami", {"X-Forwarded-For": f"203.0.113.{i}"}).json()["client"] == f"203.0.113.{i}"
        assert wire.get("/whoami").json()["client"] == PROXY


def test_headers__one_of_them_can_be_named(lab):
    lines = ["X-Forwarded-For: 203.0.113.1", "Forwarded: for=203.0.113.2", "X-Real-IP: 203.0.113.3"]
    server = lab(**{**TRUSTING, "REAL_IP_HEADER": "x-real-ip"})
    assert whoami(server, PROXY, *lines)["client"] == "203.0.113.3"
    assert whoami(server, PROXY, *lines[:2])["client"] == PROXY
    assert whoami(server, STRANGER, *lines)["client"] == STRANGER


def test_headers__as_long_as_a_head_may_be(trusting):
    told = whoami(trusting, PROXY, "X-Forwarded-For: " + "198.51.100.1," * 500 + "203.0.113.9")
    assert told["client"] == "203.0.113.9"
    told = whoami(trusting, PROXY, "X-Forwarded-For: " + "10.0.0.7," * 800)
    assert (told["client"], told["hidden"]) == ("10.0.0.7", True)
    told = whoami(trusting, PROXY, *["X-Forwarded-For: 10.0.0.7"] * 90)
    assert (told["client"], told["hidden"]) == ("10.0.0.7", True)
    with trusting.connect(PROXY) as wire:
        assert_problem(wire.get("/whoami", {"X-Forwarded-For": ", ".join(["10.0.0.7"] * 10000)}), 431)


# -- who is told ------------------------------------------------------------------------------------------------------

def test_access_log__shows_client_and_proxy(trusting):
    def ask(source, target, **headers):
        with trusting.connect(source) as wire:
            return wire.get(target, {"X-Forwarded-For": "203.0.113.9", **headers}).status

    assert ask(PROXY, "/whoami?via=proxy") == 200
    assert log_line(trusting, "?via=proxy").startswith(f"203.0.113.9 {PROXY} - [")
    assert ask(PROXY, "/nowhere?404") == 404
    assert log_line(trusting, "?404").startswith(f"203.0.113.9 {PROXY} - [")
    assert ask(PROXY, "/whoami?bad=%zz") == 400
    assert log_line(trusting, "?bad=").startswith(f"203.0.113.9 {PROXY} - [")
    assert ask(STRANGER, "/whoami?directly") == 200
    assert log_line(trusting, "?directly").startswith(f"{STRANGER} - - [")


def test_access_log__json_shows_client_and_proxy(tmp_path):
    with Lab(tmp_path, {**TRUSTING, "LOG_FORMAT": "json"}) as server:
        whoami(server, PROXY, "X-Forwarded-For: 2001:db8::9", "X-Request-Id: through")
        whoami(server, STRANGER, "X-Request-Id: directly")
        through = json.loads(log_line(server, '"through"'))
        directly = json.loads(log_line(server, '"directly"'))
    assert (through["remote"], through["proxy"]) == ("2001:db8::9", PROXY)
    assert directly["remote"] == STRANGER and "proxy" not in directly


def test_access_log__knows_the_peer_after_it_has_gone(lab):
    """Others wait for the response of a client that left: its line is written long after its connection."""
    server = lab(**TRUSTING)
    with server.connect(PROXY) as wire:
        wire.send(b"GET /flaky?ms=500 HTTP/1.1\r\nHost: lab\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n")
        time.sleep(0.1)
    with server.connect(STRANGER) as wire:
        wire.send(b"GET /flaky?ms=501 HTTP/1.1\r\nHost: lab\r\n\r\n")
        time.sleep(0.1)
    assert log_line(server, "?ms=500").startswith(f"203.0.113.9 {PROXY} - [")
    assert log_line(server, "?ms=501").startswith(f"{STRANGER} - - [")


def metrics_status(server, source, *lines):
    with server.connect(source) as wire:
        wire.send("\r\n".join(["GET /metrics HTTP/1.1", "Host: lab", *lines, "", ""]).encode())
        return wire.response().status


def test_metrics__a_proxy_on_this_machine_does_not_open_them(trusting):
    """METRICS_ALLOW holds loopback and private ranges by default: whom the proxy asks for must be in it."""
    assert metrics_status(trusting, PROXY) == 200                                          # a collector beside it
    assert metrics_status(trusting, PROXY, "X-Forwarded-For: 192.168.1.5") == 200
    assert metrics_status(trusting, PROXY, "Forwarded: for=192.168.1.5") == 200
    for lines in (["X-Forwarded-For: 203.0.113.9"], ["Forwarded: for=203.0.113.9"], ["X-Real-IP: 203.0.113.9"],
                  ["X-Forwarded-For: 127.0.0.1, 203.0.113.9"],
                  ["X-Forwarded-For: 203.0.113.9, 192.168.1.5"],                           # through one not declared
                  ["X-Forwarded-For: unknown"], ["X-Forwarded-For: banana, 192.168.1.5"],
                  ["X-Forwarded-For: 127.0.0.1", "Forwarded: for=203.0.113.9"],
                  ["X-Forwarded-For: 127.0.0.1", "X-Real-IP: 203.0.113.9"]):
        assert metrics_status(trusting, PROXY, *lines) == 403, lines
        assert metrics_status(trusting, STRANGER, *lines) == 403, lines                    # a proxy not declared
    assert metrics_status(trusting, STRANGER, "X-Forwarded-For: 127.0.0.1") == 200


# -- the PROXY protocol -----------------------------------------------------------------------------------------------

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(source, family="TCP4", destination="198.51.100.1"):
    return f"PROXY {family} {source} {destination} 51234 443\r\n".encode()


def v2(source=None, command=1, tlvs=b""):
    """Of an IPv4 or IPv6 source; None has no address."""
    if source is None:
        family, block = 0, b""
    elif ":" in source:
        family, block = 0x21, socket.inet_pton(socket.AF_INET6, source) + bytes(16) + struct.pack("!HH", 51234, 443)
    else:
        family, block = 0x11, socket.inet_aton(source) + bytes(4) + struct.pack("!HH", 51234, 443)
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, family, len(block + tlvs)) + block + tlvs


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def unix_v2():
    return SIGNATURE + struct.pack("!BBH", 0x21, 0x31, 216) + b"/run/client".ljust(216, b"\0")


def introduced(server, header, *lines, pieces=1):
    """What /whoami answers behind that PROXY header, all of it sent in so many pieces."""
    data = header + "\r\n".join(["GET /whoami HTTP/1.1", "Host: lab", *lines, "", ""]).encode()
    size = max(1, len(data) // pieces)
    with server.connect(PROXY) as wire:
        for at in range(0, len(data), size):
            wire.send(data[at:at + size])
            if pieces > 1:
                time.sleep(0.001)
        answer = wire.response()
        assert answer.status == 200, answer
        return answer.json()


HEADERS = {
    "v1": (v1("203.0.113.9"), "203.0.113.9"),
    "v1-ipv6": (v1("2001:db8::9", "TCP6", "::1"), "2001:db8::9"),
    "v1-mapped": (v1("::ffff:203.0.113.9", "TCP6", "::1"), "203.0.113.9"),
    "v2": (v2("203.0.113.9"), "203.0.113.9"),
    "v2-ipv6": (v2("2001:db8::9"), "2001:db8::9"),
    "v2-tlvs": (v2("203.0.113.9", tlvs=tlv(3, b"\xde\xad\xbe\xef") + tlv(0x20, b"\x01" + bytes(300))), "203.0.113.9"),
    "v2-most": (v2("203.0.113.9", tlvs=tlv(4, bytes(4096 - 16 - 12 - 3))), "203.0.113.9"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_proxy_protocol__names_the_peer(balanced, name):
    header, client = HEADERS[name]
    told = introduced(balanced, header)
    assert told == {"client": client, "peer": client, "key": told["key"], "via_proxy": False, "hidden": False}


@pytest.mark.parametrize("name", ["v1", "v2", "v2-ipv6"])
def test_proxy_protocol__byte_by_byte(balanced, name):
    header, client = HEADERS[name]
    assert introduced(balanced, header, pieces=1000)["client"] == client


def test_proxy_protocol__alone_and_the_requests_later(balanced):
    with balanced.connect(PROXY) as wire:
        wire.send(v2("203.0.113.9"))
        time.sleep(0.3)
        for _ in range(3):
            assert wire.get("/whoami").json()["peer"] == "203.0.113.9"
        wire.send(WHOAMI * 3)
        assert [wire.response().json()["peer"] for _ in range(3)] == ["203.0.113.9"] * 3


def test_proxy_protocol__whom_it_names_is_believed_only_if_trusted(balanced):
    forwarded = "X-Forwarded-For: 198.51.100.7"
    for make in (v1, v2):
        told = introduced(balanced, make("203.0.113.9"), forwarded)
        assert (told["client"], told["peer"]) == ("203.0.113.9", "203.0.113.9")
        told = introduced(balanced, make("10.0.0.7"), forwarded)
        assert (told["client"], told["peer"], told["via_proxy"]) == ("198.51.100.7", "10.0.0.7", True)


def test_proxy_protocol__local_is_the_balancer_itself(balanced):
    told = introduced(balanced, v2(command=0))
    assert (told["client"], told["peer"], told["hidden"]) == (PROXY, PROXY, False)
    told = introduced(balanced, v2("203.0.113.9", command=0, tlvs=tlv(4, b"x")))
    assert (told["client"], told["peer"], told["hidden"]) == (PROXY, PROXY, False)


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ::1 ::1 1 2\r\n", v2(), unix_v2()],
                         ids=["v1", "v1-more", "v2", "unix"])
def test_proxy_protocol__without_an_address_nothing_is_believed(balanced, header):
    told = introduced(balanced, header, "X-Forwarded-For: 198.51.100.7")
    assert (told["client"], told["peer"], told["hidden"]) == (PROXY, PROXY, True)
    with balanced.connect(PROXY) as wire:
        wire.send(header)
        assert wire.get("/metrics").status == 403


def test_proxy_protocol__metrics_are_for_whom_it_names(balanced):
    for source, status in (("203.0.113.9", 403), ("192.168.1.5", 200)):
        with balanced.connect(PROXY) as wire:
            wire.send(v2(source))
            assert wire.get("/metrics").status == status


@pytest.mark.parametrize("data", [
    WHOAMI, b"GET", b"PROXY TCP4 banana 1.2.3.4 1 2\r\n" + WHOAMI, b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n" + WHOAMI,
    b"PROXY UNKNOWN " + b"x" * 200, b"\x16\x03\x01\x02\x00\x01\x00", b"\0", b"\r\n" + WHOAMI,
    SIGNATURE + b"\x11\x11\x00\x0c" + bytes(12) + WHOAMI, SIGNATURE + b"\x22\x11\x00\x0c" + bytes(12) + WHOAMI,
    SIGNATURE + b"\x21\x11\x00\x0b" + bytes(12) + WHOAMI, SIGNATURE + b"\x21\x00\xff\xff" + bytes(70000),
    SIGNATURE + b"\x21\xf1\x00\x0c" + bytes(12) + WHOAMI,
], ids=["request", "start", "v1-garbage", "v1-bare-lf", "v1-endless", "tls", "nul", "empty-line", "v2-version", "v2-command",
        "v2-short", "v2-long", "v2-family"])
def test_proxy_protocol__all_else_is_closed_without_a_word(balanced, data):
    with balanced.connect(PROXY) as wire:
        wire.send(data)
        assert wire.closed()


def test_proxy_protocol__says_so_in_the_log(balanced):
    with balanced.connect(PROXY) as wire:
        wire.send(WHOAMI)
        assert wire.closed()
    line = wait_for(lambda: next((line for line in balanced.log().splitlines() if "PROXY header" in line), None), "the line")
    assert f'peer="{PROXY}"' in line or f"peer={PROXY}" in line, line
    with balanced.connect(PROXY) as wire:
        wire.send(WHOAMI)
        assert wire.closed()
    assert balanced.log().count("PROXY header") == 1          # a line a minute


@pytest.mark.parametrize("start", [b"", b"PROXY TCP4 192.0.2.7", v2("192.0.2.7")[:-1], v2("192.0.2.7")],
                         ids=["nothing", "v1-part", "v2-part", "no-request"])
def test_proxy_protocol__silence_is_closed_in_time(balanced, start):
    with balanced.connect(PROXY) as wire:
        wire.send(start)
        assert not wire.closed(0.5)
        assert wire.closed()


def test_proxy_protocol__trickling_gains_no_time(balanced):
    header = v2("192.0.2.7", tlvs=tlv(4, bytes(2000)))
    with balanced.connect(PROXY) as wire:
        started = time.monotonic()
        for at in range(len(header)):
            wire.send(header[at:at + 1])
            if wire.closed(0.1):
                break
            assert time.monotonic() < started + 60, "the connection was never closed"


def test_proxy_protocol__once_a_connection(balanced):
    with balanced.connect(PROXY) as wire:
        wire.send(v1("203.0.113.9") + v1("203.0.113.8") + WHOAMI)
        assert wire.response().status in (400, 501)
    with balanced.connect(PROXY) as wire:
        wire.send(v2("203.0.113.9") + v2("203.0.113.8") + WHOAMI)
        assert wire.response().status == 400


def test_proxy_protocol__is_not_expected_of_others(balanced):
    """Who must begin with it is known by the address, never guessed from the bytes."""
    assert whoami(balanced, STRANGER)["client"] == STRANGER
    assert whoami(balanced, TESTER)["client"] == TESTER
    for header in (v1("203.0.113.9"), v2("203.0.113.9")):
        with balanced.connect(STRANGER) as wire:
            wire.send(header + WHOAMI)
            assert wire.response().status in (400, 501)


def test_proxy_protocol__is_off_by_default(trusting):
    with trusting.connect(PROXY) as wire:
        wire.send(v1("203.0.113.9") + WHOAMI)
        assert wire.response().status in (400, 501)


def test_proxy_protocol__without_proxies_is_told(lab):
    server = lab(MAX_WORKERS=1, PROXY_PROTOCOL="True")
    assert "TRUSTED_PROXIES names nobody" in server.log()
    assert whoami(server, TESTER)["client"] == TESTER


def test_proxy_protocol__a_stop_does_not_wait_for_it(lab):
    server = lab(**TRUSTING, PROXY_PROTOCOL="True", HEADER_TIMEOUT="60")
    with server.connect(PROXY) as silent, server.connect(PROXY) as slow:
        slow.send(b"PROXY TCP4 ")
        wait_for(lambda: server.metrics()["connections"]["open"] == 3, "both connections")
        started = time.monotonic()
        server.stop()
        assert time.monotonic() - started < 20
        assert silent.closed() and slow.closed()


# -- a real balancer --------------------------------------------------------------------------------------------------

HAPROXY = """
global
    maxconn 100
defaults
    mode {mode}
    timeout connect 30s
    timeout client 30s
    timeout server 30s
frontend front
    bind 127.0.0.1:{port}
    default_backend back
backend back
    source {proxy}
    server lab 127.0.0.1:{lab} {send}
"""


class Haproxy:
    def __init__(self, folder, lab_port, send, mode="tcp"):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.config = folder / "haproxy.cfg"
        self.config.write_text(HAPROXY.format(mode=mode, port=self.port, proxy=PROXY, lab=lab_port, send=send))
        self.log = folder / "haproxy.log"

    def __enter__(self):
        with self.log.open("w") as log:
            self.process = subprocess.Popen(["haproxy", "-db", "-f", str(self.config)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        try:
            wait_for(self._listens, "haproxy to listen")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)

    def _listens(self):
        assert self.process.poll() is None, self.log.read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        except OSError:
            return False

    def whoami(self, source):
        with socket.create_connection(("127.0.0.1", self.port), timeout=60, source_address=(source, 0)) as s:
            s.sendall(WHOAMI.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            data = b""
            while piece := s.recv(65536):
                data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        assert Response(head).status == 200, data
        return json.loads(body)


@pytest.mark.skipif(not shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"),
                    reason="haproxy is not installed")
@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"])
def test_haproxy__introduces_its_clients(balanced, tmp_path, send):
    with Haproxy(tmp_path, balanced.port, send) as front:
        for source in ("127.0.0.7", "127.0.0.8"):
            told = front.whoami(source)
            assert (told["client"], told["peer"], told["hidden"]) == (source, source, False)


@pytest.mark.skipif(not shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"),
                    reason="haproxy is not installed")
def test_haproxy__health_checks_pass(balanced, tmp_path):
    """A check is a connection of haproxy's own: LOCAL, or nothing but the connection."""
    check = "send-proxy-v2 check check-send-proxy inter 100ms rise 1 fall 1 on-marked-down shutdown-sessions"
    with Haproxy(tmp_path, balanced.port, check, mode="http") as front:
        before = balanced.metrics()["connections"]["accepted"]
        wait_for(lambda: balanced.metrics()["connections"]["accepted"] > before + 10, "some checks")
        assert front.whoami("127.0.0.7")["client"] == "127.0.0.7"
