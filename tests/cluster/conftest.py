# SPDX-License-Identifier: MIT
"""The tests of a cluster use what those of a single server have."""
import sys
from pathlib import Path

for folder in ("api", "faults"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / folder))
