# SPDX-License-Identifier: MIT
"""What scripts/image-tree puts into a container is enough: the binary runs with nothing else there, as nobody much."""
import os
import shutil
import subprocess

import pytest

from harness import BINARY, PATIENCE, READY, ROOT, SANITIZER, wait_for

TREE = ROOT / "scripts" / "image-tree"
USER = 65532


def may_mount():
    """Whether a mount namespace can be made: as root, and not in every container."""
    return os.geteuid() == 0 and shutil.which("unshare") and \
        subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not may_mount() or not shutil.which("dpkg-query"), reason="needs root, on Debian")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    tree = tmp_path_factory.mktemp("image") / "tree"
    done = subprocess.run([str(TREE), str(BINARY), str(tree)], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    for folder in ("proc", "dev"):
        (tree / folder).mkdir()
    return tree


def command(tree, *arguments):
    """A command in the tree, with /proc and /dev as a container has them."""
    words = " ".join(arguments)
    return ["unshare", "--mount", "sh", "-c",
            f"mount --rbind /proc {tree}/proc && mount --rbind /dev {tree}/dev &&"
            f" exec chroot --userspec={USER}:{USER} --groups= {tree} /usr/bin/sanad {words}"]


ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "WEB_DIR": "/usr/share/sanad/web", "HOST": "127.0.0.1", "PORT": "0"}


def run(tree, *arguments):
    done = subprocess.run(command(tree, *arguments), env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_tree__has_no_shell_and_little_else(tree):
    assert sorted(path.name for path in (tree / "usr" / "bin").iterdir()) == ["sanad"]
    assert not (tree / "bin").exists()
    plugins = {path.name for path in tree.glob("usr/lib/*/libmariadb3/plugin/*.so")}
    assert {"caching_sha2_password.so", "client_ed25519.so"} <= plugins
    assert (tree / "usr" / "lib" / "ssl" / "cert.pem").read_text().count("BEGIN CERTIFICATE") > 50
    assert (tree / "lib" / "terminfo" / "x" / "xterm-256color").exists()
    names = {path.name for path in (tree / "usr" / "share" / "doc").iterdir()}
    assert {"sanad", "libc6", "libmariadb3", "libuv1"} <= names


def test_tree__serves(tree):
    assert run(tree, "--version").startswith("sanad ")
    run(tree, "migrate")
    with subprocess.Popen(command(tree, "serve", "--set", "MAX_WORKERS=1"), env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            said = ""
            while not READY.search(said):
                line = server.stdout.readline()
                assert line, f"it ended: {said}"
                said += line
            assert os.stat(f"/proc/{server.pid}").st_uid == USER
            wait_for(lambda: run(tree, "status"), "its status")
        finally:
            server.terminate()
        said += server.stdout.read()
        assert server.wait(PATIENCE) == 0, said
    assert not SANITIZER.search(said), said
    assert (tree / "data" / "sanad.db").stat().st_uid == USER
