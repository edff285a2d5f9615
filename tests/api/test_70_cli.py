# SPDX-License-Identifier: MIT
"""The command line: help, usage, settings and where they came from, and every way in which a start can fail."""
import hashlib
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness import BINARY, PATIENCE, ROOT, assert_no_report, environment, sanad, wait_for

COMMANDS = ("serve", "check", "config", "migrate", "demo")
SECRETS = ("opensesame-opensesame-opensesame-1", "hunter2-the-password", "redis-pass-word")


def lines(text):
    return [line for line in text.splitlines() if line.strip()]


def files(folder):
    """Everything under a folder, with the bytes of each file."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
            for path in sorted(Path(folder).rglob("*"))}


def dotenv(folder, text):
    (folder / ".env").write_bytes(text if isinstance(text, bytes) else text.encode())


# -- help ------------------------------------------------------------------------------------------------------------

def test_help__the_table_of_commands(tmp_path):
    for arguments in ([], ["help"], ["--help"], ["-h"]):
        out = sanad(tmp_path, *arguments).stdout
        assert all(re.search(rf"^  {name} +\S", out, re.MULTILINE) for name in COMMANDS), out


@pytest.mark.parametrize("name", COMMANDS)
def test_help__of_each_command_has_an_example(tmp_path, name):
    forms = [sanad(tmp_path, *form).stdout for form in
             ([name, "--help"], [name, "-h"], ["help", name], [name, "--set", "PORT=x", "--help"])]
    assert len(set(forms)) == 1
    assert forms[0].startswith(f"Usage: sanad {name}")
    assert "Example:" in forms[0] and re.search(rf"^  sanad {name}\b", forms[0], re.MULTILINE)
    assert max(len(line) for line in forms[0].splitlines()) <= 200
    assert files(tmp_path) == {}


def test_help__examples_are_understood(tmp_path):
    """What the help shows can be typed: nothing of it is a usage error."""
    for name in COMMANDS:
        for line in re.findall(rf"^  sanad ({name} .*)$", sanad(tmp_path, name, "--help").stdout, re.MULTILINE):
            words = line.split(" > ")[0].split()
            done = sanad(tmp_path, *words, "--set", "PORT=nonsense", status=None)
            assert done.returncode in (0, 78), f"{line}: {done.stderr}"      # 78: understood up to the settings


def test_version(tmp_path):
    assert re.fullmatch(r"sanad \d+\.\d+\.\d+\n", sanad(tmp_path, "--version").stdout)


def test_output__that_cannot_be_written_is_a_failure(tmp_path):
    for arguments in (["help"], ["config"], ["config", "--example"], ["config", "--json"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run([str(BINARY), *arguments], cwd=tmp_path, env=environment({}), stdout=full,
                                  stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
        assert done.returncode == 1 and "cannot write" in done.stderr, arguments


# -- usage -----------------------------------------------------------------------------------------------------------

USAGE = [      # what is typed, and what is said of it
    (["serv"], "there is no command serv; did you mean serve?"),
    (["Migrate"], "did you mean migrate?"),
    (["confg"], "did you mean config?"),
    (["help", "chek"], "did you mean check?"),
    (["frobnicate"], "there is no command frobnicate"),
    ([""], "there is no command"),
    (["--set", "PORT=1", "serve"], "there is no command --set"),
    (["serve", "now"], "now is one argument too many"),
    (["serve", "--evn", ".env"], "there is no option --evn; did you mean --env?"),
    (["demo", "--certificates", "5", "--sead", "3"], "there is no option --sead; did you mean --seed?"),
    (["migrate", "--statsu"], "did you mean --status?"),
    (["migrate", "--status=yes"], "takes no value"),
    (["check", "-x"], "there is no option -x"),
    (["config", "--json", "--example"], "exclude each other"),
    (["config", "--set"], "--set wants a value"),
    (["config", "--set", "PORT"], "--set wants KEY=VALUE"),
    (["serve", "--env"], "--env wants a value"),
    (["demo", "--certificates", "ten"], "--certificates ten: wants a number from 0 to 5000000"),
    (["demo", "--certificates", "-1"], "--certificates -1: wants a number"),
    (["demo", "--certificates", "5000001"], "wants a number from 0 to 5000000"),
    (["demo", "--certificates", "1e3"], "wants a number"),
    (["demo", "--certificates", ""], "wants a number"),
    (["demo", "--seed", "99999999999999999999"], "--seed 99999999999999999999: wants a number"),
    (["demo", "--seed", "0x10"], "wants a number"),
]


@pytest.mark.parametrize("typed,said", USAGE, ids=[" ".join(typed) or "-" for typed, _ in USAGE])
def test_usage__is_64_and_says_what_was_meant(tmp_path, typed, said):
    done = sanad(tmp_path, *typed, status=64)
    assert said in done.stderr and done.stdout == ""
    assert re.search(r"^Try: sanad ", done.stderr, re.MULTILINE)
    assert files(tmp_path) == {}


# -- settings ----------------------------------------------------------------------------------------------------------

BAD = f"""\
PORT=banana
export MAX_WORKERS = "-1"
SECRET_KEY='too short'
this is no setting
CACHE_TTL=-3s
REDIS_URL=http://user:{SECRETS[2]}@host
DB_PASSWORD="{SECRETS[1]}
METRICS_ALLOW=10.0.0.0/8,300.1.1.1
LOG_LEVEL=loud
PROT=8001
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_settings__all_that_is_wrong_is_told_at_once(tmp_path, command):
    dotenv(tmp_path, BAD)
    done = sanad(tmp_path, command, "--set", "KEEP_ALIVE=never", "--set", "HOTS=::1",
                 settings={"CACHE_ENABLED": "perhaps"}, status=78)
    assert done.stdout == ""
    for told in (r"error: \.env:1: PORT=banana: must be a whole number from 0 to 65535$",
                 r"error: \.env:2: MAX_WORKERS=-1: must be a whole number from 0 to 256$",
                 r"error: \.env:3: SECRET_KEY=\*+: must be text of 32 to 1024 bytes",
                 r"error: \.env:4: a name is followed by '='",
                 r"error: \.env:5: CACHE_TTL=-3s: must be ",
                 r"error: \.env:6: REDIS_URL: must be ",
                 r'error: \.env:7: the closing " is missing on this line$',
                 r"error: \.env:8: METRICS_ALLOW=10\.0\.0\.0/8,300\.1\.1\.1: must be ",
                 r"error: \.env:9: LOG_LEVEL=loud: must be debug, info, warning or error$",
                 r"warning: \.env:10: PROT: there is no such setting; did you mean PORT\?$",
                 r"error: environment: CACHE_ENABLED=perhaps: must be True or False",
                 r"error: --set: KEEP_ALIVE=never: must be ",
                 r"error: --set: HOTS: there is no such setting; did you mean HOST\?$"):
        assert re.search("^sanad: " + told, done.stderr, re.MULTILINE), f"{told}\n{done.stderr}"
    for secret in (*SECRETS, "too short"):
        assert secret not in done.stderr
    assert set(files(tmp_path)) == {".env"}


def test_settings__a_file_that_was_named_must_be_there(tmp_path):
    done = sanad(tmp_path, "config", "--env", "other.env", status=78)
    assert "other.env: the file cannot be read: No such file or directory" in done.stderr
    done = sanad(tmp_path, "config", "--env", ".", status=78)
    assert "the file cannot be read" in done.stderr
    sanad(tmp_path, "config")     # ./.env need not be


DOTENV = b"""\xef\xbb\xbfHOST=127.0.0.1\r
# a comment\r
\r
   # another\r
export PORT = 8123   # the port\r
SECRET_KEY='single $HOME # \\n is as it stands, long enough'\r
DB_PATH="a folder/with \\"quotes\\" \\\\ and \\$.db"\r
\texport\tWEB_DIR=web#1   \r
ACCESS_LOG=\r
CORS_ORIGINS = https://a.example , https://b.example # two\r
LOG_LEVEL=info\r
LOG_LEVEL=debug"""


def test_settings__a_file_as_people_write_them(tmp_path):
    dotenv(tmp_path, DOTENV)
    done = sanad(tmp_path, "config", "--json")
    shown = {key: (each["value"], each["origin"]) for key, each in json.loads(done.stdout).items()}
    assert shown["HOST"] == ("127.0.0.1", ".env:1")
    assert shown["PORT"] == (8123, ".env:5")
    assert shown["SECRET_KEY"] == ("********", ".env:6")
    assert shown["DB_PATH"] == ('a folder/with "quotes" \\ and $.db', ".env:7")
    assert shown["WEB_DIR"] == ("web#1", ".env:8")
    assert shown["ACCESS_LOG"] == ("", ".env:9")
    assert shown["CORS_ORIGINS"] == (["https://a.example", "https://b.example"], ".env:10")
    assert shown["LOG_LEVEL"] == ("debug", ".env:12")
    assert shown["BACKLOG"] == (2048, "default")
    assert lines(done.stderr) == ["sanad: warning: .env:12: LOG_LEVEL: line 11 sets this too; the last one counts"]


def test_settings__come_from_where_they_are_said_last(tmp_path):
    dotenv(tmp_path, "PORT=1001\nBACKLOG=1002\nKEEP_ALIVE=7\n")
    (tmp_path / "other.env").write_text("PORT=3001\n")
    environment_too = {"BACKLOG": "2002", "TIMEOUT": "50"}

    def shown(*arguments):
        out = sanad(tmp_path, "config", *arguments, settings=environment_too).stdout
        rows = [line.split() for line in lines(out) if not line.startswith("#")]
        return {row[0]: (row[1], " ".join(row[2:])) for row in rows if len(row) > 2}
    seen = shown("--set", "KEEP_ALIVE=9", "--set", "KEEP_ALIVE=10")
    assert seen["PORT"] == ("1001", ".env:1")
    assert seen["BACKLOG"] == ("2002", "environment")
    assert seen["TIMEOUT"][:1] == ("50",) and seen["TIMEOUT"][1].startswith("environment")
    assert seen["KEEP_ALIVE"] == ("10", "--set")
    assert seen["DB_POOL_SIZE"] == ("50", "default")
    assert seen["MAX_WORKERS"][1] == "default: the number of cores"
    assert shown("--env", "other.env")["PORT"] == ("3001", "other.env:1")
    assert shown("--set", "DB_HOST=db.example")["DB_DRIVER"] == ("mysql", "default: DB_HOST is set")


def test_settings__the_example_is_the_default_and_the_page_is_up_to_date(tmp_path):
    example = sanad(tmp_path, "config", "--example").stdout
    assert example == (ROOT / ".env.example").read_text(), "run: build/sanad config --example > .env.example"
    page = sanad(tmp_path, "config", "--markdown").stdout
    assert page == (ROOT / "docs" / "settings.md").read_text(), "run: build/sanad config --markdown > docs/settings.md"
    plain = sanad(tmp_path, "config", "--json").stdout
    dotenv(tmp_path, re.sub(r"^#([A-Z_]+=)", r"\1", example, flags=re.MULTILINE))
    done = sanad(tmp_path, "config", "--json")
    values = [{key: each["value"] for key, each in json.loads(out).items()} for out in (plain, done.stdout)]
    assert values[0] == values[1] and done.stderr == ""


def test_settings__secrets_are_never_shown(serve, tmp_path):
    secret = {"SECRET_KEY": SECRETS[0], "DB_PASSWORD": SECRETS[1], "REDIS_URL": f"redis://user:{SECRETS[2]}@localhost:1/0"}
    out = ""
    for arguments in (["config"], ["config", "--json"], ["config", "--example"], ["check", "--set", "PORT=0"],
                      ["migrate", "--status"], ["migrate"], ["demo", "--certificates", "1"]):
        done = sanad(tmp_path, *arguments, settings=secret, status=None)
        out += done.stdout + done.stderr
    server = serve(LOG_LEVEL="debug", DEBUG="True", ACCESS_LOG="-", **secret)
    for path in ("/metrics", "/health", "/health/ready", "/api/certificates/templates", "/nowhere"):
        out += repr(server.get(path))
    server.stop()
    out += server.log() + server.out_path.read_text()
    assert "********" in out and "redis://********@localhost:1/0" in out
    for each in SECRETS:
        assert each not in out


# -- settings that belong together -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("command", ("serve", "check", "migrate", "demo"))
@pytest.mark.parametrize("setting, missing", (("DB_HOST=db.example", "DB_NAME"), ("DB_DRIVER=mysql", "DB_HOST, or DB_SOCKET")))
def test_mysql__what_is_missing_is_named(tmp_path, command, setting, missing):
    done = sanad(tmp_path, command, "--set", setting, status=78)
    assert done.stdout == ""
    assert lines(done.stderr) == [f"sanad {command}: DB_DRIVER is mysql, which needs {missing}"]
    assert files(tmp_path) == {}


# -- check -----------------------------------------------------------------------------------------------------------------

def check(folder, status, **settings):
    done = sanad(folder, "check", settings={"PORT": "0", "WEB_DIR": ROOT / "web", **settings}, status=status)
    assert done.stderr == ""
    found = [line for line in done.stdout.splitlines() if line.startswith(("ok ", "warn ", "BAD "))]
    rows = {(line[:8].strip(), line[8:24].strip()): line[25:] for line in found}
    bad, warned = map(int, re.search(r"^(\d+) bad, (\d+) warnings$", done.stdout, re.MULTILINE).groups())
    assert bad == sum(kind == "BAD" for kind, _ in rows) and warned == sum(kind == "warn" for kind, _ in rows)
    assert (bad > 0) == (status == 1)
    return rows


def test_check__good(database, tmp_path):
    shutil.copy(database, tmp_path / "sanad.db")
    before = files(tmp_path)
    rows = check(tmp_path, 0, DB_PATH="sanad.db")
    assert all(kind == "ok" for kind, _ in rows), rows
    assert ("ok", "database") in rows and rows[("ok", "migrations")].startswith("0 of ")
    assert files(tmp_path) == before, "to check changes nothing"


def test_check__a_first_start_would_work(tmp_path):
    rows = check(tmp_path, 0)
    assert ("warn", "data folder") in rows and ("warn", "database") in rows
    assert files(tmp_path) == {}


def test_check__port_in_use(tmp_path, server):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        rows = check(tmp_path, 1, HOST="127.0.0.1", PORT=port)
        assert f"port {port} is in use" in rows[("BAD", "address")]
    assert "is in use" in check(tmp_path, 1, HOST="127.0.0.1", PORT=server.port)[("BAD", "address")]
    assert "not an address of this machine" in check(tmp_path, 1, HOST="192.0.2.1")[("BAD", "address")]


def test_check__not_a_database(tmp_path):
    (tmp_path / "sanad.db").write_bytes(b"garbage " * 1000)
    assert check(tmp_path, 1, DB_PATH="sanad.db")[("BAD", "database")] == "sanad.db is not an SQLite database"
    assert set(files(tmp_path)) == {"sanad.db"}
    assert "it is a folder" in check(tmp_path, 1, DB_PATH=".")[("BAD", "database")]


def test_check__no_folder_for_the_data(tmp_path):
    rows = check(tmp_path, 1, DB_PATH="no/such/sanad.db")
    assert "no/such does not exist and cannot be made in no" in rows[("BAD", "data folder")]


# -- starts that fail --------------------------------------------------------------------------------------------------------

AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []


def start_fails(folder, command, settings, prefix=()):
    """Runs a command that must fail: exit status 1 and one line, which it returns."""
    done = subprocess.run([*prefix, str(BINARY), command], cwd=folder, env=environment({"PORT": "0", **settings}),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
    assert_no_report(done.stderr)
    assert done.returncode == 1, done.stderr
    assert done.stdout == "" and len(lines(done.stderr)) == 1, done.stderr + done.stdout
    return done.stderr


@pytest.mark.parametrize("command", ("serve", "migrate", "demo"))
def test_start__that_fails_says_why_and_leaves_nothing(tmp_path, command):
    (tmp_path / "garbage.db").write_bytes(os.urandom(20000))
    (tmp_path / "text.db").write_text("SQLite format 3, or so\n" * 300)
    (tmp_path / "folder.db").mkdir()
    (tmp_path / "file").write_text("")
    before = files(tmp_path)
    for path, why in {"garbage.db": "garbage.db is not an SQLite database",
                      "text.db": "text.db is not an SQLite database",
                      "folder.db": "cannot open folder.db: it is a folder, not a file",
                      "no/such/sanad.db": "cannot open no/such/sanad.db: the folder no/such does not exist",
                      "file/sanad.db": "cannot open file/sanad.db: "}.items():
        assert why in start_fails(tmp_path, command, {"DB_PATH": path})
        assert files(tmp_path) == before, f"{path} left something behind"
    (tmp_path / "no").mkdir()
    sanad(tmp_path, "migrate", settings={"DB_PATH": "no/such/sanad.db"})


@pytest.mark.parametrize("command", ("serve", "migrate", "demo", "check"))
def test_start__in_a_folder_that_may_not_be_written(command):
    folder = Path(tempfile.mkdtemp(prefix="sanad-locked-"))
    try:
        program = shutil.copy(BINARY, folder / "sanad")
        (folder / "data").mkdir()
        os.chmod(folder / "data", 0o555)
        os.chmod(folder, 0o755)
        done = subprocess.run([*AS_NOBODY, str(program), command], cwd=folder, env=environment({"PORT": "0"}),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
        assert_no_report(done.stderr)
        assert done.returncode == 1, done.stderr
        told = [line for line in lines(done.stdout + done.stderr) if "may not write" in line]
        assert len(told) == 1 and "data" in told[0], done.stdout + done.stderr
        assert command == "check" or lines(done.stderr) == told
        assert os.listdir(folder / "data") == []
    finally:
        shutil.rmtree(folder)


def test_start__on_a_port_in_use(tmp_path, database):
    shutil.copy(database, tmp_path / "sanad.db")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        told = start_fails(tmp_path, "serve", {"DB_PATH": "sanad.db", "HOST": "127.0.0.1", "PORT": port})
    assert f"port {port} is in use" in told


# -- demo --------------------------------------------------------------------------------------------------------------------

def content(path):
    """A hash of every row of every table."""
    with sqlite3.connect(path) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        told = {table: hashlib.sha256(repr(db.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()).encode()).hexdigest()
                for table in tables if table != "schema_migrations"}
    db.close()
    return told


def certificates(path):
    with sqlite3.connect(path) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE name LIKE '%_certificates'"
                                               " AND type = 'table'")]
        total = sum(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)
    db.close()
    return total


def demo(folder, name, *arguments, status=0):
    return sanad(folder, "demo", *arguments, settings={"DB_PATH": name}, status=status)


def test_demo__the_same_seed_makes_the_same_bytes(tmp_path):
    for name, seed in (("a.db", "5"), ("b.db", "5"), ("c.db", "6")):
        demo(tmp_path, name, "--certificates", "300", "--seed", seed)
    a, b, c = (content(tmp_path / name) for name in ("a.db", "b.db", "c.db"))
    assert a == b
    assert all(a[table] != c[table] for table in a if table.endswith("_certificates"))
    assert certificates(tmp_path / "a.db") == 300


@pytest.mark.parametrize("number", (0, 1, 7))
def test_demo__as_many_certificates_as_asked(tmp_path, number):
    told = lines(demo(tmp_path, "sanad.db", "--certificates", str(number)).stdout)
    assert any(line.startswith(f"{number} certificates, 24 templates, 40 spas, ") for line in told), told
    assert certificates(tmp_path / "sanad.db") == number


def test_demo__refuses_a_database_that_has_data(tmp_path):
    demo(tmp_path, "sanad.db", "--certificates", "3")
    before = content(tmp_path / "sanad.db")
    done = demo(tmp_path, "sanad.db", "--certificates", "3", status=1)
    assert done.stdout == "" and len(lines(done.stderr)) == 1
    assert done.stderr.startswith("sanad demo: this database already has data: users 50, spa 40, ")
    assert content(tmp_path / "sanad.db") == before


def test_demo__if_empty_is_content_with_what_is_there(tmp_path):
    first = demo(tmp_path, "sanad.db", "--if-empty", "--certificates", "3").stdout
    assert "3 certificates, " in first
    before = content(tmp_path / "sanad.db")
    done = demo(tmp_path, "sanad.db", "--if-empty", "--certificates", "9")
    assert (done.stdout, done.stderr) == ("the database has data already; nothing was added\n", "")
    assert content(tmp_path / "sanad.db") == before


def test_demo__if_empty_forgives_nothing_else(tmp_path):
    (tmp_path / "sanad.db").write_bytes(os.urandom(5000))
    assert "not an SQLite database" in demo(tmp_path, "sanad.db", "--if-empty", status=1).stderr


def test_demo__runs_while_the_service_does(serve):
    server = serve(data=False, MAX_WORKERS="1", CACHE_TTL="0")
    assert server.get("/api/certificates/public").json() == []
    sanad(server.folder, "demo", "--certificates", "200", settings={"DB_PATH": server.db_path})
    wait_for(lambda: len(server.get("/api/certificates/public").json()) == 20, "the rows to be served")


# -- serve --------------------------------------------------------------------------------------------------------------------

def test_serve__says_what_it_ignores(serve):
    server = serve(RATE_LIMIT_USER_PER_MINUTE="5")
    told = [line for line in server.log().splitlines() if "does not act on" in line]
    assert any("key=RATE_LIMIT_USER_PER_MINUTE" in line for line in told) and len(told) <= 2


def test_serve__makes_the_database_for_its_user_only(tmp_path, serve):
    server = serve(data=False, DB_PATH="data/sanad.db")
    folder = server.folder / "data"
    assert folder.stat().st_mode & 0o007 == 0
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o177 == 0, f"{path.name} may be read by others"
    assert {path.name for path in folder.iterdir()} >= {"sanad.db", "sanad.db.key"}


def test_serve__keeps_its_secret_between_starts(serve):
    server = serve(MAX_WORKERS="1")
    link = server.get("/api/certificates/public?limit=5").links()["next"]
    page = server.get(link).body
    server.stop()
    server.start()
    assert server.get(link).body == page, "a cursor of before the restart"
