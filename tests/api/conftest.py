# SPDX-License-Identifier: MIT
"""Fixtures: one demo database a session, and servers on copies of it."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import harness  # noqa: E402  (after the path that leads to it)

CERTIFICATES = 2000


@pytest.fixture(scope="session")
def database(tmp_path_factory):
    """The demo data; copied, never served itself."""
    return harness.make_database(tmp_path_factory.mktemp("demo"), CERTIFICATES)


@pytest.fixture(scope="module")
def server(database, tmp_path_factory, request):
    """One server for all tests of a file that only read. A file may set SETTINGS."""
    settings = getattr(request.module, "SETTINGS", {})
    with harness.Server(tmp_path_factory.mktemp("server"), settings, database) as running:
        yield running


@pytest.fixture
def serve(database, tmp_path):
    """serve(SETTING=value, ...) starts a server that this test has for itself."""
    started = []

    def start(folder="server", data=True, **settings):
        running = harness.Server(tmp_path / folder, settings, database if data else None)
        started.append(running)
        return running.start()

    yield start
    for running in started:
        if running.process is not None and running.process.poll() is None:
            running.stop()


@pytest.fixture
def lab(tmp_path):
    """lab(SETTING=value, ...) starts the small application of tests/lab."""
    started = []

    def start(folder="lab", **settings):
        running = harness.Lab(tmp_path / folder, settings)
        started.append(running)
        return running.start()

    yield start
    for running in started:
        if running.process is not None and running.process.poll() is None:
            running.stop()
