# SPDX-License-Identifier: MIT
"""What the service is told when it runs on a server of the tests' own."""
from mariadb import USER

CERTIFICATES, SEED = 2000, 7
LAB = "lab"                      # the database of the small application
KEY = "a secret of thirty-two letters, or more"


def settings_of(db, **more):
    return {**db.settings(), "SECRET_KEY": KEY, **{name: str(value) for name, value in more.items()}}


def make_lab_database(db):
    """An empty one, in place of any that there was."""
    grants = "".join(f"GRANT ALL ON {LAB}.* TO {USER}@'{host}';" for host in ("localhost", "%"))
    db.sql(f"DROP DATABASE IF EXISTS {LAB}; CREATE DATABASE {LAB}; {grants}", database=None)
