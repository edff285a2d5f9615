# SPDX-License-Identifier: MIT
"""What the service is told when it runs on a server of the tests' own."""

CERTIFICATES, SEED = 2000, 7
KEY = "a secret of thirty-two letters, or more"


def settings_of(db, **more):
    return {**db.settings(), "SECRET_KEY": KEY, **{name: str(value) for name, value in more.items()}}
