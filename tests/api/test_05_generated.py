# SPDX-License-Identifier: MIT
"""Files that are printed by the program itself are what it prints now."""
import pytest

from harness import ROOT, sanad

GENERATED = [
    (".env.example", ["config", "--example"]),
    ("docs/settings.md", ["config", "--markdown"]),
]


@pytest.mark.parametrize("name,command", GENERATED, ids=[name for name, _ in GENERATED])
def test_generated_file_is_fresh(tmp_path, name, command):
    told = sanad(tmp_path, *command).stdout
    kept = (ROOT / name).read_text() if (ROOT / name).exists() else None
    assert kept == told, f"write it anew: build/sanad {' '.join(command)} > {name}"
