# SPDX-License-Identifier: MIT
"""Tables on the terminal, and loadtest/RESULTS.md: a section for each test, rewritten by the run of that test alone."""
import datetime
import platform
import re
import subprocess
from pathlib import Path

from kit import CORES
from node import ROOT

RESULTS = ROOT / "loadtest" / "RESULTS.md"
PREFACE = """# Load tests, measured

Written by `make loadtest`, `make capacity` and `make loadtest-idle`, each its own section. The requests are the
specification's: the templates list, the public list, `/health`, weighted 3:2:1, one to three seconds between two of a user,
each user with an address of its own and the limiter on.
"""


def output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=10).stdout.strip()
    except OSError:
        return ""


def conditions():
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    commit = output("git", "rev-parse", "--short=10", "HEAD") or "not committed"
    if output("git", "status", "--porcelain", "--", "src"):
        commit += " with changes"
    return (f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC, {len(CORES)} cores "
            f"({found.group(1) if found else platform.machine()}), {platform.system()} {platform.release()}, commit {commit}.")


def markdown(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]) + "\n"


def aligned(head, rows):
    """The same for a terminal."""
    table = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths)))
             for row in table]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]]) + "\n"


class Section:
    """Text and tables of one test, shown as they come and written at the end."""

    def __init__(self, title):
        self.title, self.parts = title, [conditions()]
        print(f"\n{title}\n{'=' * len(title)}\n\n{self.parts[0]}", flush=True)

    def text(self, words):
        self.parts.append(words)
        print(f"\n{words}", flush=True)

    def table(self, head, rows):
        self.parts.append(markdown(head, rows).rstrip())
        print("\n" + aligned(head, rows), end="", flush=True)

    def write(self, path=RESULTS):
        """In place of the section of the same title; the others stay."""
        path = Path(path)
        old = path.read_text() if path.exists() else ""
        sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", old, re.M | re.S))
        sections[self.title] = "\n" + "\n\n".join(self.parts) + "\n"
        path.write_text(PREFACE + "".join(f"\n## {title}\n{body.rstrip()}\n" for title, body in sorted(sections.items())))
