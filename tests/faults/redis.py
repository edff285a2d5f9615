# SPDX-License-Identifier: MIT
"""A real Redis server for tests, never the system's: its own folder, socket and port.

    with Redis(folder, requirepass="x") as redis:
        with Lab(tmp_path, redis.settings()) as lab:
            redis.kill()

It keeps nothing on disk. `options` are those of redis.conf, and go before those of a file `config`. The socket and the
port stay the same when it is started again. Leaving the block ends the server by
its process id; its log stays in the folder.
"""
import atexit
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from mariadb import ENVIRONMENT, PATIENCE, free_port

# The same program under another name: in Debian the server by itself, without its service.
SERVER = "/usr/bin/redis-check-rdb"
CLIENT = "/usr/bin/redis-cli"


def available():
    return all(os.access(program, os.X_OK) for program in (SERVER, CLIENT))


class Redis:
    def __init__(self, folder, config=None, **options):
        self.folder = Path(folder)
        self.config = [str(config)] if config else []
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log_path = self.folder / "redis.log"
        self.port = free_port()
        self.options = options
        self.process = None
        self._run = tempfile.TemporaryDirectory(prefix="sanad-redis-")      # a socket's path holds at most 107 bytes
        self.socket = Path(self._run.name) / "s"

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    # -- its life ---------------------------------------------------------------

    def start(self):
        """Starts, or starts again, empty; waits until it answers."""
        options = {"port": self.port, "bind": "127.0.0.1", "unixsocket": self.socket, "save": "", "appendonly": "no",
                   "dir": self._run.name, "logfile": self.log_path, **self.options}
        words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        self.process = subprocess.Popen(["redis-server", *self.config, *words], executable=SERVER, env=ENVIRONMENT, cwd=self.folder,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        start_new_session=True)
        atexit.register(self.kill)
        deadline = time.monotonic() + PATIENCE
        while self._client("PING").stdout.strip() != "PONG":
            assert self.process.poll() is None, f"redis ended with {self.process.returncode}:\n{self.log()[-4000:]}"
            assert time.monotonic() < deadline, f"redis does not answer:\n{self.log()[-4000:]}"
            time.sleep(0.02)
        return self

    def stop(self):
        """As an operator would; waits until it is gone."""
        if self.process is not None:
            self.resume()
            self._signal(signal.SIGTERM)
            self.process.wait(PATIENCE)

    def kill(self):
        """As a crash would. Safe to call again."""
        if self.process is not None:
            self._signal(signal.SIGKILL)
            self.process.wait()

    def restart(self):
        self.stop()
        return self.start()

    def pause(self):
        """It stays connected and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self):
        self._signal(signal.SIGCONT)

    def close(self):
        self.kill()
        atexit.unregister(self.kill)
        self._run.cleanup()

    def _signal(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    # -- talking to it ------------------------------------------------------------

    def _client(self, *words):
        secret = {"REDISCLI_AUTH": self.options["requirepass"]} if "requirepass" in self.options else {}
        return subprocess.run([CLIENT, "-s", str(self.socket), *(str(word) for word in words)],
                              env={**ENVIRONMENT, **secret}, capture_output=True, text=True, timeout=PATIENCE)

    def cli(self, *words):
        """A command, by the socket, as the default user; its answer as a text."""
        done = self._client(*words)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout.rstrip("\n")

    def configure(self, **options):
        for name, value in options.items():
            assert self.cli("CONFIG", "SET", name.replace("_", "-"), value) == "OK"

    def url(self, by_socket=True, user="", password="", database=0):
        who = f"{quote(user, safe='')}:{quote(password, safe='')}@" if password else ""
        return f"unix://{who}{self.socket}?db={database}" if by_socket else \
            f"redis://{who}127.0.0.1:{self.port}/{database}"

    def settings(self, **where):
        """What sanad is told to use it."""
        return {"REDIS_ENABLED": "True", "REDIS_URL": self.url(**where)}
