# SPDX-License-Identifier: MIT
"""deploy/logrotate, by the real logrotate: each line is in one of the files, once."""
import grp
import gzip
import json
import os
import pwd
import shutil
import subprocess
from collections import Counter

import pytest

from clients import Clients
from harness import ROOT, wait_for

LOGROTATE = shutil.which("logrotate", path="/usr/sbin:/usr/bin")

pytestmark = pytest.mark.skipif(not LOGROTATE, reason="logrotate is not installed")


def configured(folder, server):
    """What is shipped, with the paths of this test and the user who runs it."""
    text = (ROOT / "deploy" / "logrotate").read_text()
    who = f"{pwd.getpwuid(os.geteuid()).pw_name} {grp.getgrgid(os.getegid()).gr_name}"
    for old, new, times in [("/var/log/sanad/", f"{folder}/", 4), ("    su sanad sanad\n", "", 1),
                            ("0640 sanad sanad", f"0640 {who}", 1),
                            ("/run/sanad/sanad.pid", str(server.folder / "data" / "sanad.pid"), 3)]:
        assert text.count(old) == times, f"{old!r} is there {text.count(old)} times"
        text = text.replace(old, new)
    path = folder / "logrotate.conf"
    path.write_text(text)
    path.chmod(0o644)
    return path


def rotate(config):
    done = subprocess.run([LOGROTATE, "--force", "--state", str(config.with_name("state")), str(config)],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr


def holders(server, *paths):
    """The workers that have one of these files open."""
    held = []
    for pid in server.workers():
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                held += [pid] if os.readlink(f"/proc/{pid}/fd/{fd}") in paths else []
            except FileNotFoundError:       # just closed
                pass
    return held


def requests_in(folder):
    texts = [gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
             for file in folder.glob("access.log*")]
    return Counter(json.loads(line)["request_id"] for text in texts for line in text.splitlines())


def test_logs__are_rotated_and_lose_no_line(lab, tmp_path):
    folder = tmp_path / "log"
    folder.mkdir(mode=0o755)
    access, slow = folder / "access.log", folder / "slow.log"
    server = lab(ACCESS_LOG=access, SLOW_LOG=slow, LOG_FORMAT="json", SLOW_QUERY_MS=1, MAX_WORKERS=2)
    config = configured(folder, server)
    with Clients(server.port, threads=2, target="/slow?ms=2") as clients:
        for _ in range(3):
            wanted = clients.answered + 200
            wait_for(lambda: clients.answered >= wanted and access.stat().st_size > 0, "some requests")
            assert server.get("/count/to?times=1000000").status == 200      # a slow statement
            wait_for(lambda: slow.exists() and slow.stat().st_size > 0, "the slow log")
            rotate(config)
            wait_for(lambda: not holders(server, f"{access}.1", f"{slow}.1"), "the workers to leave the old files")
    dropped = server.metrics()["access_log"]["dropped_lines"]       # on a disk that is too slow: counted, and no more than that
    server.stop()
    assert clients.failures == []
    assert {file.name for file in folder.glob("*.log*")} == \
        {f"{log}.log{end}" for log in ("access", "slow") for end in ("", ".1", ".2.gz", ".3.gz")}
    assert access.stat().st_mode & 0o777 == 0o640
    found = requests_in(folder)
    assert set(found.values()) == {1}
    assert sum(name.startswith("client-") for name in found) >= clients.answered - dropped
