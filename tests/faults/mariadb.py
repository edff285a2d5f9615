# SPDX-License-Identifier: MIT
"""A real MariaDB server for tests, never the system's: its own folder, port and socket.

    with MariaDB(folder) as db:
        db.load(ROOT / "migrations" / "mysql" / "0001_initial.sql")
        with Server(tmp_path, db.settings()) as server:
            db.kill()

It is configured by deploy/my.cnf, so that what is shipped is what is tested;
sizes are made small, and `options` go before all: MariaDB(folder, max_connections=20).
Several on one port have an address each: MariaDB(folder, address="127.0.0.2", port=first.port).
The port stays the same when the server is started again. Leaving the block ends
the server by its process id and removes its data; its log stays in the folder.
"""
import atexit
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MY_CNF = ROOT / "deploy" / "my.cnf"
SERVER = "/usr/sbin/mariadbd"
CLIENT = "/usr/bin/mariadb"
INSTALL = "/usr/bin/mariadb-install-db"

PATIENCE = 60                    # seconds: for what must happen, on however slow a machine
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8", "TZ": "UTC"}
AS_USER = ["--user=root"] if os.geteuid() == 0 else []
SIZES = {"innodb_buffer_pool_size": "256M", "innodb_log_file_size": "64M"}

DATABASE, USER, PASSWORD = "sanad", "sanad", "the tests' own"


def available():
    return all(os.access(program, os.X_OK) for program in (SERVER, CLIENT, INSTALL))


@functools.lru_cache(maxsize=None)
def template():
    """A data folder as it is after the installation, made once a session and copied."""
    folder = Path(tempfile.mkdtemp(prefix="sanad-mariadb-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    done = subprocess.run([INSTALL, "--no-defaults", *AS_USER, f"--datadir={folder}/data", "--skip-test-db",
                           "--auth-root-authentication-method=normal",
                           f"--innodb-log-file-size={SIZES['innodb_log_file_size']}"],
                          env={**ENVIRONMENT, "TMPDIR": str(folder)}, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=PATIENCE)
    assert done.returncode == 0, f"{INSTALL}: {done.stdout}\n{done.stderr}"
    return folder / "data"


def free_port():
    """A port that is free on every address of this machine."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


class MariaDB:
    def __init__(self, folder, address="127.0.0.1", port=None, path=ENVIRONMENT["PATH"], **options):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / "data"
        self.log_path = self.folder / "mariadbd.log"
        self.address = address
        self.port = port or free_port()
        self.options = {**SIZES, **options}
        self.environment = {**ENVIRONMENT, "PATH": path}
        self.process = None
        # A socket's path holds at most 107 bytes: less than some folders of tests. Temporary files are there, too:
        # a server that starts removes those of the others.
        self._run = tempfile.TemporaryDirectory(prefix="sanad-db-")
        self.socket = Path(self._run.name) / "s"

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    # -- its life ---------------------------------------------------------------

    def start(self, *arguments):
        """Starts, or starts again on the same data and port; waits until it answers."""
        fresh = not self.data.exists()
        if fresh:
            shutil.copytree(template(), self.data)
        self._launch(*arguments)
        atexit.register(self.kill)
        self._wait_until_ready()
        if fresh:
            self._make_database()
        return self

    def _launch(self, *arguments):
        options = [f"--{name.replace('_', '-')}={value}" for name, value in self.options.items()]
        self.process = subprocess.Popen(
            [SERVER, f"--defaults-file={MY_CNF}", *AS_USER, f"--datadir={self.data}", f"--socket={self.socket}",
             f"--port={self.port}", f"--bind-address={self.address}", f"--pid-file={self._run.name}/pid",
             f"--tmpdir={self._run.name}", f"--log-error={self.log_path}", *options, *arguments],
            env=self.environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)

    def run(self, *arguments):
        """Has it do something else than serve; waits for its end."""
        self._launch(*arguments)
        assert self.process.wait(PATIENCE) == 0, self.log()[-4000:]

    def _wait_until_ready(self):
        deadline = time.monotonic() + PATIENCE
        while self._client("SELECT 1", None).returncode != 0:
            assert self.process.poll() is None, f"mariadbd ended with {self.process.returncode}:\n{self.log()[-4000:]}"
            assert time.monotonic() < deadline, f"mariadbd does not answer:\n{self.log()[-4000:]}"
            time.sleep(0.05)

    def _make_database(self):
        password = PASSWORD.replace("'", "''")
        self.sql(f"CREATE DATABASE {DATABASE};" + "".join(
            f"CREATE USER {USER}@'{host}' IDENTIFIED BY '{password}'; GRANT ALL ON {DATABASE}.* TO {USER}@'{host}';"
            for host in ("localhost", "%")), database=None)

    def stop(self):
        """As an operator would; waits until it is gone."""
        if self.process is None:
            return
        self.resume()
        self._signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"mariadbd did not stop:\n{self.log()[-4000:]}") from None

    def kill(self):
        """As a crash would: no flush, no farewell. Safe to call again."""
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
        shutil.rmtree(self.data, ignore_errors=True)
        self._run.cleanup()

    def _signal(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    # -- talking to it ------------------------------------------------------------

    def _client(self, text, database, timeout=PATIENCE):
        command = [CLIENT, "--no-defaults", f"--socket={self.socket}", "--user=root", "--batch", "--raw",
                   "--default-character-set=utf8mb4", *([database] if database else [])]
        return subprocess.run(command, input=text, env=ENVIRONMENT, capture_output=True, text=True, timeout=timeout)

    def sql(self, text, database=DATABASE, timeout=300):
        """Runs statements as root, by the socket; the lines of all results, with a line of names before each."""
        done = self._client(text, database, timeout)
        assert done.returncode == 0, f"{done.stderr}\n{text[:2000]}"
        return done.stdout.splitlines()

    def refusal(self, text, database=DATABASE):
        """What the server says to statements that it must refuse."""
        done = self._client(text, database)
        assert done.returncode != 0, f"was not refused: {text[:2000]}"
        return done.stderr

    def rows(self, text, database=DATABASE):
        """The rows of one statement, each a dict of texts; NULL is None where no text says the same."""
        lines = [line.split("\t") for line in self.sql(text, database)]
        return [dict(zip(lines[0], (None if cell == "NULL" else cell for cell in line))) for line in lines[1:]]

    def value(self, text, database=DATABASE):
        """The first column of the only row."""
        rows = self.rows(text, database)
        assert len(rows) == 1, f"{len(rows)} rows: {text}"
        return next(iter(rows[0].values()))

    def load(self, path, database=DATABASE):
        """Runs a file."""
        return self.sql(Path(path).read_text(), database)

    def settings(self, by_socket=False):
        """What sanad is told to use this database."""
        where = {"DB_HOST": "localhost", "DB_SOCKET": self.socket} if by_socket else \
            {"DB_HOST": self.address, "DB_PORT": self.port}
        return {"DB_DRIVER": "mysql", **where, "DB_NAME": DATABASE, "DB_USER": USER, "DB_PASSWORD": PASSWORD}
