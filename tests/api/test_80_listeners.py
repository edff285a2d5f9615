# SPDX-License-Identifier: MIT
"""Where the server listens: TCP, IPv6, a Unix socket, and sockets that another program has opened."""
import os
import re
import socket
import stat
import subprocess
import time

import pytest

from clients import Clients
from harness import BINARY, DEFAULTS, Closed, Lab, Server, Wire, environment, sanad, wait_for


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


def unix_only(path="s.sock", **more):
    return {"HOST": "", "UNIX_SOCKET": str(path), **more}


def fails(folder, settings, status=1):
    """What a start that fails says."""
    return sanad(folder, "serve", settings={**DEFAULTS, "DB_PATH": str(folder / "sanad.db"), **settings},
                 status=status).stderr


def status_by(place, target="/health", *lines):
    with Wire(place) as wire:
        wire.send("\r\n".join([f"GET {target} HTTP/1.1", "Host: t", *lines, "", ""]).encode())
        return wire.response().status


# -- a Unix socket -----------------------------------------------------------------------------------------------------

def test_unix__serves_alone_with_its_mode_and_takes_its_file_away(lab, tmp_path):
    server = lab(**unix_only(MAX_WORKERS=3, UNIX_SOCKET_MODE="0600"))
    path = tmp_path / "lab" / "s.sock"
    assert server.port == str(path)
    assert stat.S_ISSOCK(path.stat().st_mode) and stat.S_IMODE(path.stat().st_mode) == 0o600
    with Clients(server.port, threads=4, requests_a_connection=1) as clients:
        wait_for(lambda: clients.pids == set(server.workers()), "each worker to answer")
    assert clients.failures == []
    server.stop()
    assert not path.exists()


def test_unix__beside_tcp(lab, tmp_path):
    server = lab(UNIX_SOCKET="both.sock", ACCESS_LOG="-")
    assert status_by(server.port) == 200
    assert status_by(str(tmp_path / "lab" / "both.sock")) == 200
    told = server.log()
    assert re.search(r"listening on  127\.0\.0\.1:\d+, unix:both\.sock,", told), told
    wait_for(lambda: server.out_path.read_text().count("GET /health") >= 2, "the access log")
    assert "\nunix - - [" in "\n" + server.out_path.read_text()


@pytest.mark.parametrize("stop", range(3))
def test_unix__a_stop_loses_nobody(lab, stop):
    server = lab(**unix_only(MAX_WORKERS=4))
    with Clients(server.port, threads=16, requests_a_connection=1, until_refused=True) as clients:
        wait_for(lambda: clients.answered > 500, "some load")
        server.stop()
    assert clients.failures == []


def test_unix__a_file_left_behind_is_replaced(lab, tmp_path):
    (tmp_path / "lab").mkdir()
    path = tmp_path / "lab" / "s.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
        left.listen()
    before = path.stat().st_ino, path.stat().st_ctime_ns
    server = lab(**unix_only())
    assert (path.stat().st_ino, path.stat().st_ctime_ns) != before
    assert status_by(server.port) == 200


def test_unix__another_server_keeps_its_own(lab, tmp_path):
    server = lab(**unix_only())
    told = fails(tmp_path, unix_only(server.port))
    assert "UNIX_SOCKET" in told and "in use" in told, told
    assert status_by(server.port) == 200


@pytest.mark.parametrize("path,why", [("file", "no socket"), ("no/folder/s.sock", "No such file"), ("x" * 200, "107")])
def test_unix__what_cannot_be_is_told(tmp_path, path, why):
    (tmp_path / "file").write_text("precious")
    told = fails(tmp_path, unix_only(path), status=78 if len(path) > 107 else 1)
    assert "UNIX_SOCKET" in told and why in told, told
    assert (tmp_path / "file").read_text() == "precious"


def test_unix__two_that_start_together_do_not_both_win(tmp_path):
    """Also over a file that is left behind: whoever loses says so, and the winner is reachable."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "s.sock"))
    settings = [{**DEFAULTS, **unix_only(), "DB_PATH": f"{n}.db", "PID_FILE": f"{n}.pid"} for n in range(3)]
    started = [subprocess.Popen([BINARY, "serve"], cwd=tmp_path, env=environment(one), stderr=subprocess.PIPE)
               for one in settings]
    try:
        wait_for(lambda: sum(one.poll() is not None for one in started) == 2, "all but one to give up")
        assert [one.returncode for one in started if one.poll() is not None] == [1, 1]
        wait_for(lambda: (tmp_path / "s.sock").exists() and status_by(str(tmp_path / "s.sock")) == 200, "an answer")
    finally:
        for one in started:
            one.terminate()
            one.communicate()


def test_nothing_to_listen_on(tmp_path):
    assert "nothing to listen on" in fails(tmp_path, {"HOST": ""})


# -- whose word counts over it ------------------------------------------------------------------------------------------

LIMITED = {"RATE_LIMIT_ENABLED": "True", "RATE_LIMIT_PER_MINUTE": "3"}


def limited(server, client):
    return status_by(server.port, "/api/spas", f"X-Forwarded-For: {client}")


def test_limits__over_a_unix_socket_go_by_the_client_of_a_proxy_that_is_trusted(database, tmp_path):
    with Server(tmp_path, {**unix_only(), **LIMITED, "TRUSTED_PROXIES": "unix"}, database=database) as server:
        assert [limited(server, "203.0.113.1") for _ in range(5)] == [200, 200, 200, 429, 429]
        assert [limited(server, "203.0.113.2") for _ in range(4)] == [200, 200, 200, 429]
        assert limited(server, "6.6.6.6, 203.0.113.2") == 429      # what the client wrote itself


def test_limits__over_a_unix_socket_all_are_one_client_if_nobody_is_trusted(database, tmp_path):
    settings = {**unix_only(), **LIMITED, "TRUSTED_PROXIES": "127.0.0.0/8,::1,10.0.0.0/8"}
    with Server(tmp_path, settings, database=database) as server:
        assert [limited(server, f"203.0.113.{n}") for n in range(5)] == [200, 200, 200, 429, 429]
        assert re.search(r"^unix\s", sanad(tmp_path, "limits", settings=server.settings).stdout, re.M)


def test_limits__nobody_is_the_unix_socket_by_his_word(database, tmp_path):
    settings = {**unix_only(), **LIMITED, "TRUSTED_PROXIES": "unix", "RATE_LIMIT_ALLOW": "unix"}
    with Server(tmp_path, settings, database=database) as server:
        assert [status_by(server.port, "/api/spas") for _ in range(5)] == [200] * 5     # the proxy itself
        for word in ("0.0.0.0", "unix:", "unix", "[::ffff:0.0.0.0]"):
            assert 429 in [limited(server, word) for _ in range(5)], word


def test_metrics__are_for_the_unix_socket_when_it_is_named(lab):
    server = lab(folder="a", **unix_only())
    assert status_by(server.port, "/metrics") == 403
    server = lab(folder="b", **unix_only(METRICS_ALLOW="unix"))
    assert status_by(server.port, "/metrics") == 200
    assert status_by(server.port, "/metrics", "X-Forwarded-For: 203.0.113.1") == 403


class Elsewhere(Lab):
    """Is asked for at another address than usual."""

    def __init__(self, address, *rest):
        super().__init__(*rest)
        self.address = address

    def connect(self, source=None, timeout=60):
        wire = Wire.__new__(Wire)
        wire.buffer, wire.socket = b"", socket.create_connection((self.address, self.port), timeout=timeout)
        return wire


# -- IPv6 ---------------------------------------------------------------------------------------------------------------

@needs_ipv6
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_ipv6__alone(tmp_path, host):
    with Elsewhere("::1", tmp_path, {"HOST": host}) as server:
        assert re.search(rf"ready on http://\[::1\]:{server.port}/\n", server.log())
        with pytest.raises(ConnectionRefusedError):
            status_by(server.port)


@needs_ipv6
def test_ipv6__both_by_one_socket(lab):
    server = lab(HOST="::", ACCESS_LOG="-")
    assert status_by(server.port) == 200
    with socket.create_connection(("::1", server.port)) as six:
        six.sendall(b"GET /health HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        assert six.recv(100).startswith(b"HTTP/1.1 200")
    wait_for(lambda: "\n::1 - -" in server.out_path.read_text(), "the access log")
    assert "127.0.0.1 - -" in server.out_path.read_text()
    assert f"listening on  [::]:{server.port}," in server.log()


# -- sockets that another program has opened ---------------------------------------------------------------------------------

class Heir(Elsewhere):
    """Started with descriptors, as the new program of an upgrade is."""

    def __init__(self, folder, settings, sockets, letters):
        super().__init__(settings.get("HOST", "127.0.0.1"), folder, settings)
        self.sockets = sockets
        self.settings["SANAD_LISTENERS"] = ",".join(f"{letter}{one.fileno()}"
                                                    for letter, one in zip(letters, sockets))

    def connect(self, source=None, timeout=60):
        return Wire(self.port) if isinstance(self.port, str) else super().connect(source, timeout)

    def start(self):
        real = subprocess.Popen
        try:
            subprocess.Popen = lambda *a, **k: real(*a, **k, pass_fds=[one.fileno() for one in self.sockets])
            return super().start()
        finally:
            subprocess.Popen = real


def tcp_sockets(count):
    made, port = [], 0
    for _ in range(count):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind(("127.0.0.1", port))
        one.listen(64)
        port = one.getsockname()[1]
        made.append(one)
    return made, port


@pytest.mark.parametrize("inherited,workers", [(2, 2), (1, 3), (5, 2)])
def test_inherited__every_socket_is_served(tmp_path, inherited, workers):
    """Also more of them than workers, and fewer: who waits in any queue is answered."""
    sockets, port = tcp_sockets(inherited)
    early = [Wire(port) for _ in range(40)]
    for wire in early:
        wire.send(b"GET /health HTTP/1.1\r\nHost: t\r\n\r\n")
    with Heir(tmp_path, {"PORT": port, "MAX_WORKERS": workers}, sockets, "o" * inherited) as server:
        for one in sockets:
            one.close()
        assert server.port == port
        assert [wire.response().status for wire in early] == [200] * 40
        for wire in early:
            wire.close()
        with Clients(port, threads=4, requests_a_connection=1) as clients:
            wait_for(lambda: clients.pids == set(server.workers()), "each worker to answer")
        assert clients.failures == []


def test_inherited__what_the_settings_no_longer_ask_for_is_let_go(tmp_path):
    sockets, port = tcp_sockets(2)
    with Heir(tmp_path, {"PORT": 0, "HOST": "127.0.0.2"}, sockets, "oo"):
        for one in sockets:
            one.close()
        with pytest.raises(ConnectionRefusedError):
            Wire(port)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_inherited__sockets_stay_open_when_one_of_two_programs_ends(tmp_path, kind):
    """The new program of an upgrade gives up: whose they were serves on."""
    if kind == "unix":
        place, letters, sockets = str(tmp_path / "s.sock"), "u", [socket.socket(socket.AF_UNIX)]
        sockets[0].bind(place)
        sockets[0].listen(64)
        settings = unix_only(place)
    else:
        sockets, place = tcp_sockets(2)
        letters, settings = "oo", {"PORT": place}
    with Heir(tmp_path, {**settings, "SANAD_UPGRADE_FROM": os.getpid()}, sockets, letters) as server:
        assert server.get("/health").status == 200
    wires = [Wire(place, timeout=10) for _ in range(20)]
    for wire in wires:
        wire.close()
    for one in sockets:
        one.close()


@pytest.mark.parametrize("text", ["o77", "x3", "o", "o2", "3", "o3;o4", "u99999999999999999999"])
def test_inherited__nonsense_is_told(tmp_path, text):
    assert "SANAD_LISTENERS" in fails(tmp_path, {"SANAD_LISTENERS": text})
