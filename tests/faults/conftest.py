# SPDX-License-Identifier: MIT
"""Fixtures for the service on a MariaDB server of the tests' own."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "api"))

import harness  # noqa: E402
from mariadb import MariaDB  # noqa: E402
from service import CERTIFICATES, LAB, SEED, make_lab_database, settings_of  # noqa: E402


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory):
    """A server with the demo data; tests that break it put it right again."""
    folder = tmp_path_factory.mktemp("mariadb")
    with MariaDB(folder) as db:
        harness.sanad(folder, "migrate", settings=settings_of(db))
        harness.sanad(folder, "demo", "--certificates", str(CERTIFICATES), "--seed", str(SEED),
                      settings=settings_of(db), timeout=300)
        yield db


@pytest.fixture
def serve(mariadb, tmp_path):
    """serve(SETTING=value, ...) starts the service on it."""
    started = []

    def start(folder="server", **settings):
        running = harness.Server(tmp_path / folder, settings_of(mariadb, **settings))
        del running.settings["DB_PATH"]
        started.append(running)
        return running.start()

    yield start
    for running in started:
        if running.process is not None and running.process.poll() is None:
            running.stop()


@pytest.fixture
def lab(mariadb, tmp_path):
    """lab(SETTING=value, ...) starts the small application of tests/lab, on an empty database of that server."""
    make_lab_database(mariadb)
    running = harness.Lab(tmp_path / "lab", settings_of(mariadb, DB_NAME=LAB))

    def start(**settings):
        running.settings.update({name: str(value) for name, value in settings.items()})
        return running.start()

    yield start
    if running.process is not None and running.process.poll() is None:
        running.stop()
