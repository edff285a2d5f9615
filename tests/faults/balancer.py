# SPDX-License-Identifier: MIT
"""The real nginx and the real HAProxy, configured by the files in deploy/, before several instances.

    with Fleet(folder, settings) as fleet, Nginx(folder, fleet, authority) as front:
        with Crowd(front.port, "GET /api/spas", tls=front.tls) as crowd:
            fleet[0].kill()

Of the shipped files only ports and paths are changed, each by an exact text that must be there: what is tested is what
is shipped. Both run in the foreground and end by their process ids.
"""
import os
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

from harness import PATIENCE, ROOT, Server, Wire, environment, wait_for
from mariadb import free_port

INSTANCES = 4


class Fleet:
    """Instances, each on a port that stays its own."""

    def __init__(self, folder, settings, kind=Server):
        self.instances = [kind(Path(folder) / f"instance{number}", {**settings, "PORT": str(free_port())})
                          for number in range(1, INSTANCES + 1)]
        for one in self.instances:
            one.port = int(one.settings["PORT"])

    def __enter__(self):
        try:
            for one in self.instances:
                one.start()
                self.ready(one)
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self._kill()
            return
        self.heal()
        for one in self.instances:
            one.stop()

    def _kill(self):
        for one in self.instances:
            one.kill()

    def __getitem__(self, number):
        return self.instances[number]

    @staticmethod
    def ready(one):
        """As an operator's script would see it."""
        wait_for(lambda: one.get("/health/ready").status == 200, "an instance to be ready")

    def heal(self):
        """Starts what a test that failed has left dead."""
        for one in self.instances:
            if one.process.poll() is not None:
                one.start()

    def roll(self):
        """Each is stopped, started again, and ready, before the next."""
        for one in self.instances:
            one.stop()
            one.start()
            self.ready(one)

    def total(self, *path):
        """A number in /metrics, of all instances."""
        def number(told):
            for key in path:
                told = told[key]
            return told
        return sum(number(one.metrics()) for one in self.instances)


def rewritten(name, changes):
    """A file of deploy/ with each text replaced, as often as is said: (old, new, times)."""
    text = (ROOT / "deploy" / name).read_text()
    for old, new, times in changes:
        assert text.count(old) == times, f"deploy/{name} has {old!r} {text.count(old)} times, not {times}"
        text = text.replace(old, new)
    return text


class Balancer:
    """What both have in common; self.port is https."""

    program = None

    def __init__(self, folder, fleet, authority):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        self.plain_port, self.port = free_port(), free_port()
        self.authority = authority.certificate
        self.key, self.certificate = authority.sign("front", "DNS:localhost", "IP:127.0.0.1")
        self.tls = ssl.create_default_context(cafile=self.authority)
        self.log_path = self.folder / "balancer.log"
        self.process = None
        self.configure([f"127.0.0.1:{one.port}" for one in fleet.instances])

    @classmethod
    def available(cls):
        return shutil.which(cls.program, path="/usr/sbin:/usr/bin")

    def __enter__(self):
        self.run(*self.check)
        with self.log_path.open("a") as log:
            self.process = subprocess.Popen([self.available(), *self.serve], cwd=self.folder, env=environment({}),
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_for(self._listens, f"{self.program} to listen")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(PATIENCE)

    def run(self, *arguments):
        done = subprocess.run([self.available(), *arguments], cwd=self.folder, env=environment({}), capture_output=True,
                              text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def _listens(self):
        assert self.process.poll() is None, self.log_path.read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        except OSError:
            return False

    def connect(self, source="127.0.0.1"):
        wire = Wire(self.port, source=source)
        wire.socket = self.tls.wrap_socket(wire.socket, server_hostname="localhost")
        return wire

    def get(self, target, headers=None, source="127.0.0.1"):
        with self.connect(source) as wire:
            return wire.get(target, headers)


class Nginx(Balancer):
    program = "nginx"

    def configure(self, addresses):
        servers, config = self.folder / "servers.conf", self.folder / "nginx.conf"
        servers.write_text(rewritten("nginx-servers.conf", [
            (f"127.0.0.1:{8001 + at}", address, 1) for at, address in enumerate(addresses)]))
        temporary = "".join(f"    {kind}_temp_path {self.folder}/{kind};\n"
                            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config.write_text(rewritten("nginx.conf", [
            ("http {\n", "http {\n" + temporary, 1),
            ("/etc/nginx/sanad-servers.conf;", f"{servers};", 2),
            ("/etc/ssl/sanad/fullchain.pem", str(self.certificate), 1),
            ("/etc/ssl/private/sanad.key", str(self.key), 1),
            ("/run/nginx.pid", f"{self.folder}/nginx.pid", 1),
            ("/var/log/nginx/", f"{self.folder}/", 2),
            ("listen 80 ", f"listen 127.0.0.1:{self.plain_port} ", 1),
            ("listen 443 ", f"listen 127.0.0.1:{self.port} ", 1),
            ("listen [::]:80 ", f"listen unix:{self.folder}/plain ", 1),
            ("listen [::]:443 ", f"listen unix:{self.folder}/tls ", 1)]))
        # Its first words go where it was built to write; -e is for those.
        common = ["-e", str(self.folder / "error.log"), "-c", str(config)]
        self.check, self.serve = [*common, "-t"], [*common, "-g", "daemon off;"]


class Haproxy(Balancer):
    program = "haproxy"

    def configure(self, addresses):
        bundle, config = self.folder / "sanad.pem", self.folder / "haproxy.cfg"
        bundle.write_text(self.certificate.read_text() + self.key.read_text())
        self.admin, self.numbers_port = os.path.relpath(self.folder / "admin.sock"), free_port()
        config.write_text(rewritten("haproxy.cfg", [
            ("    user haproxy\n    group haproxy\n    maxconn 20000\n", "    maxconn 1000\n", 1),
            ("stats socket /run/haproxy/admin.sock", f"stats socket {self.folder}/admin.sock", 1),
            ("/etc/haproxy/sanad.pem alpn", f"{bundle} alpn", 1),
            ("bind :::80 v4v6", f"bind 127.0.0.1:{self.plain_port}", 1),
            ("bind :::443 v4v6", f"bind 127.0.0.1:{self.port}", 1),
            ("127.0.0.1:8404", f"127.0.0.1:{self.numbers_port}", 1),
            *((f"127.0.0.1:{8001 + at}", address, 3) for at, address in enumerate(addresses))]))
        self.check, self.serve = ["-c", "-f", str(config)], ["-db", "-f", str(config)]

    def command(self, text):
        """To the admin socket; its answer."""
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(self.admin)
            line.sendall(text.encode() + b"\n")
            answer = b""
            while piece := line.recv(65536):
                answer += piece
        return answer.decode()

    def states(self, backend="sanad"):
        """What it thinks of each instance: UP, DOWN, DRAIN."""
        rows = [line.split(",") for line in self.command("show stat").splitlines() if line.startswith(f"{backend},")]
        return {row[1]: row[17].split()[0] for row in rows if row[1] not in ("BACKEND", "FRONTEND")}
