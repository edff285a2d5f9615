# SPDX-License-Identifier: MIT
"""TLS to the database server: only to one that can prove who it is, else not at all."""
import shutil
import socket
import struct
import threading
import time

import pytest

from authority import Authority
from harness import Server, sanad, wait_for
from mariadb import PASSWORD, USER, MariaDB, available
from service import settings_of

pytestmark = pytest.mark.skipif(not available(), reason="there is no mariadb-server")

NAMES = "DNS:localhost", "IP:127.0.0.1"
CLIENT_SSL = 0x800                        # capability flag of the protocol
SSL_REQUEST = 4 + 32                      # bytes: all that a client sends before it shakes hands


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secure(tmp_path_factory, authority):
    """A server that takes no connection in plain text; shows(key, certificate) gives it another certificate."""
    folder = tmp_path_factory.mktemp("secure")
    key, certificate = folder / "server.key", folder / "server.pem"

    def show(*files):
        for source, target in zip(files, (key, certificate)):
            shutil.copy(source, target)

    show(*authority.sign("right", *NAMES))
    with MariaDB(folder, ssl_ca=authority.certificate, ssl_cert=certificate, ssl_key=key,
                 require_secure_transport="ON") as db:
        def shows(*files):
            show(*files)
            db.sql("FLUSH SSL")
        db.shows = shows
        yield db


def told(db, tmp_path, status, **settings):
    """What `sanad migrate` says when it must end with that status."""
    return sanad(tmp_path, "migrate", settings=settings_of(db, DB_SSL=True, **settings), status=status).stderr


# -- whom it trusts ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_certificate__of_a_known_authority_and_the_right_name(secure, authority, tmp_path, host):
    secure.shows(*authority.sign("right", *NAMES))
    before = int(secure.rows("SHOW GLOBAL STATUS LIKE 'Ssl_finished_accepts'")[0]["Value"])
    told(secure, tmp_path, 0, DB_HOST=host, DB_SSL_CA=authority.certificate)
    assert int(secure.rows("SHOW GLOBAL STATUS LIKE 'Ssl_finished_accepts'")[0]["Value"]) > before


def test_authority__is_the_systems_without_a_file(secure, authority, tmp_path):
    secure.shows(*authority.sign("right", *NAMES))
    told(secure, tmp_path, 0, SSL_CERT_FILE=authority.certificate)          # what OpenSSL takes for the system's
    assert "certificate" in told(secure, tmp_path, 1)


def test_authority__given_alone_asks_for_tls(secure, authority, tmp_path):
    secure.shows(*authority.sign("right", *NAMES))
    sanad(tmp_path, "migrate", settings=settings_of(secure, DB_SSL_CA=authority.certificate))


def test_plain_text__is_refused_by_a_server_that_wants_tls(secure, tmp_path):
    assert "Access denied" in sanad(tmp_path, "migrate", settings=settings_of(secure), status=1).stderr


BAD = {
    "an unknown authority": (lambda ca, folder: Authority(folder / "other").sign("right", *NAMES), "certificate"),
    "another name": (lambda ca, folder: ca.sign("other", "DNS:db.example", "IP:127.0.0.9"), "certificate"),
    "no name": (lambda ca, folder: ca.sign("nameless", "email:nobody@db.example"), "certificate"),
    "yesterday": (lambda ca, folder: ca.sign("expired", *NAMES, days=-1), "expired"),
}


@pytest.mark.parametrize("kind", BAD)
def test_certificate__that_proves_nothing_is_refused(secure, authority, tmp_path, kind):
    make, reason = BAD[kind]
    secure.shows(*make(authority, tmp_path))
    said = told(secure, tmp_path, 1, DB_SSL_CA=authority.certificate)
    assert reason in said and "127.0.0.1" in said and PASSWORD not in said, said


def test_authority__whose_file_is_missing_is_refused(secure, authority, tmp_path):
    secure.shows(*authority.sign("right", *NAMES))
    said = told(secure, tmp_path, 1, DB_SSL_CA=tmp_path / "none.pem")
    assert "none.pem" in said, said


# -- no way back to plain text ------------------------------------------------------------------------------------------

class Impostor:
    """Greets as a server without TLS does, and keeps what it is told."""

    def __init__(self, capabilities):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.greeting = self._greeting(capabilities)
        self.heard = b""
        self.thread = threading.Thread(target=self._serve, daemon=True)

    @staticmethod
    def _greeting(capabilities):
        body = b"\x0a5.5.5-10.11.0-MariaDB\0" + struct.pack("<I", 7) + b"saltsalt\0"
        body += struct.pack("<HBHHB", capabilities & 0xffff, 45, 2, capabilities >> 16, 21) + bytes(10)
        body += b"saltsaltsalt\0mysql_native_password\0"
        return struct.pack("<I", len(body))[:3] + b"\0" + body

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client:
                client.sendall(self.greeting)
                while len(self.heard) <= SSL_REQUEST and (piece := client.recv(4096)):
                    self.heard += piece

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


def test_server_without_tls__is_told_nothing(secure, authority, tmp_path):
    with Impostor(0x81fff7ff & ~CLIENT_SSL) as impostor:
        said = told(secure, tmp_path, 1, DB_PORT=impostor.port, DB_SSL_CA=authority.certificate)
    assert "SSL" in said and impostor.heard == b"", (said, impostor.heard)


def test_server_that_breaks_the_handshake__is_told_no_name(secure, authority, tmp_path):
    with Impostor(0x81fff7ff | CLIENT_SSL) as impostor:
        told(secure, tmp_path, 1, DB_PORT=impostor.port, DB_SSL_CA=authority.certificate)
    assert len(impostor.heard) > SSL_REQUEST and USER.encode() not in impostor.heard


# -- a slow one -----------------------------------------------------------------------------------------------------------

class Road:
    """Between client and server: what the server says arrives late, or, once it is closed, not before it is open."""

    def __init__(self, port, delay):
        self.server_port, self.delay = port, delay
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = threading.Event()
        self.open.set()
        self.stuck = 0                    # handshakes that wait for the server's word
        self.given_up = 0                 # connections that the client ended meanwhile
        self.sockets, self.threads = [self.listener], [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self):
        self.threads[0].start()
        return self

    def __exit__(self, *_):
        self.open.set()
        for end in self.sockets:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()
        for thread in self.threads:
            thread.join()

    def _accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.server_port))
            self.sockets += [client, server]
            for one in (threading.Thread(target=self._carry, args=(client, server, False), daemon=True),
                        threading.Thread(target=self._carry, args=(server, client, True), daemon=True)):
                self.threads.append(one)
                one.start()

    def _carry(self, source, target, late):
        greeted = False
        try:
            while piece := source.recv(65536):
                if late:
                    self._hold_up(greeted)
                greeted = True
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        if not late and not self.open.is_set():
            self.given_up += 1

    def _hold_up(self, greeted):
        time.sleep(self.delay)
        if greeted and not self.open.is_set():
            self.stuck += 1
            self.open.wait()


def test_handshake__that_takes_its_time_blocks_nobody(secure, authority, tmp_path):
    secure.shows(*authority.sign("right", *NAMES))
    with Road(secure.port, delay=0.03) as road:
        settings = settings_of(secure, DB_PORT=road.port, DB_SSL=True, DB_SSL_CA=authority.certificate, MAX_WORKERS=1,
                               CACHE_ENABLED=False)
        with Server(tmp_path, settings) as server:
            road.open.clear()
            asked = [threading.Thread(target=lambda: answers.append(server.get("/api/spas").status)) for _ in range(3)]
            answers = []
            for thread in asked:
                thread.start()
            wait_for(lambda: road.stuck, "a handshake to begin")
            for _ in range(20):
                assert server.get("/health").status == 200
            assert road.given_up == 0, "the worker answered only after it had given up the handshake"
            road.open.set()
            for thread in asked:
                thread.join()
            assert answers == [200, 200, 200]
