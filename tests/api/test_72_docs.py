# SPDX-License-Identifier: MIT
"""What the documents name is there: links and their anchors, settings, commands with their options, metrics, files,
the beginnings of log lines. README.md and docs/*.md."""
import re
import subprocess
from pathlib import Path

import pytest

import harness
from harness import ROOT

DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
LINK = re.compile(r"\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^()\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
BLOCK = re.compile(r"^```.*?^```", re.M | re.S)

# In capitals and with an underscore, and no setting of ours.
OTHERS = set("""SO_REUSEPORT LISTEN_FDS LISTEN_PID NOTIFY_SOCKET SANAD_LISTENERS SANAD_UPGRADE_FROM SANAD_BIN
                GET_LOCK JSON_VALID AFTER_SYNC TIME_WAIT CREATE_TABLE X_REQUEST_ID NO_COLOR E_CANCELLED""".split())
# Assigned in examples, and none of ours either.
FOREIGN = {"USERS", "SECONDS", "QUICK", "KEY", "WERROR"}


def anchor_of(heading):
    """As GitHub makes it."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors_of(path):
    text = BLOCK.sub("", path.read_text())
    found, seen = set(re.findall(r'<a (?:id|name)="([^"]+)"', text)), {}
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", text, re.M):
        anchor = anchor_of(heading)
        count = seen[anchor] = seen.get(anchor, -1) + 1
        found.add(f"{anchor}-{count}" if count else anchor)
    return found


def program(*arguments):
    return harness.sanad(ROOT, *arguments).stdout


@pytest.fixture(scope="module")
def settings():
    return set(re.findall(r"^#? ?([A-Z][A-Z0-9_]*)=", program("config", "--example"), re.M))


@pytest.fixture(scope="module")
def commands():
    """{command: what its help says}"""
    return {name: program(name, "--help") for name in re.findall(r"^  ([a-z]+) ", program("help"), re.M)}


@pytest.mark.parametrize("name", NAMES)
def test_links__lead_to_files_and_headings(name):
    path, broken = ROOT / name, []
    for link in LINK.findall(BLOCK.sub("", path.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        if not file.exists() or (anchor and anchor not in anchors_of(file)):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("name", NAMES)
def test_settings__that_are_named_exist(name, settings):
    assert len(settings) > 50
    text = (ROOT / name).read_text()
    named = {word for word in re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", text)}
    named |= {word for code in CODE.findall(text) for word in re.findall(r"^([A-Z]{3,})=", code)}
    unknown = named - settings - OTHERS - FOREIGN
    assert not unknown


@pytest.mark.parametrize("name", NAMES)
def test_commands__and_their_options_exist(name, commands):
    wrong = []
    text = (ROOT / name).read_text()
    for code in CODE.findall(BLOCK.sub("", text)) + [line for block in BLOCK.findall(text) for line in block.split("\n")]:
        for command, rest in re.findall(r"(?:^|bin/|build/|[(&;|]) *sanad ([a-z]+)\b([^#;&|`\n]*)", code):
            if command not in commands and command != "help":
                wrong.append(f"sanad {command}")
            wrong += [f"sanad {command} --{option}" for option in re.findall(r"(?<!\w)--([a-z-]+)", rest)
                      if command in commands and f"--{option}" not in commands[command] + "--help"]
    assert not wrong


@pytest.mark.parametrize("name", NAMES)
def test_make__targets_that_are_named_exist(name):
    rules = re.findall(r"^([a-z][a-z -]*):", (ROOT / "Makefile").read_text(), re.M)
    targets = {target for rule in rules for target in rule.split()}
    text = (ROOT / name).read_text()
    named = {target for code in CODE.findall(text) + BLOCK.findall(text)
             for target in re.findall(r"(?:^|\n)make ([a-z][a-z-]*)", code)}
    assert not named - targets


@pytest.mark.parametrize("name", NAMES)
def test_files__of_the_tree_that_are_named_exist(name):
    text = (ROOT / name).read_text()
    named = set(re.findall(r"(?<![\w/.-])((?:deploy|scripts|bench|migrations|loadtest|tests|tools)/[\w./-]*[\w])", text))
    missing = {path for path in named if not (ROOT / path).exists() and not (ROOT / "tests" / path).exists()}
    assert not missing


def test_metrics__that_are_named_exist(tmp_path):
    text = "".join(path.read_text() for path in DOCUMENTS)
    named = set(re.findall(r"`((?:http_server|db_client|cache|rate_limit|redis_client|worker|workers|process|access_log|"
                           r"slow_log|coroutines)(?:_[a-z]+)+)[`{]", text)) | {"coroutines"}
    assert len(named) > 20
    with harness.Server(tmp_path) as server:
        server.get("/api/spas")      # a series a statement that ran, and a route that was asked for
        shown = server.get("/metrics?format=prometheus").body.decode()
    there = set(re.findall(r"^# TYPE (\w+) ", shown, re.M))
    lacking = {metric for metric in named if metric not in there and re.sub(r"_(bucket|sum|count)$", "", metric) not in there}
    assert not lacking


def test_log_lines__that_are_quoted_are_written():
    quoted = set(re.findall(r"`log: ([^`]+)`", "".join(path.read_text() for path in DOCUMENTS)))
    assert len(quoted) > 10
    source = "".join(path.read_text() for path in (ROOT / "src").rglob("*.c"))
    assert not {line for line in quoted if f'"{line}' not in source}


def test_alerts__lead_to_a_heading_each():
    rules = ROOT / "deploy" / "alerts.yml"
    if not rules.exists():
        pytest.skip("there is no deploy/alerts.yml")
    named = set(re.findall(r"docs/operations\.md#([\w-]+)", rules.read_text()))
    assert len(named) > 10 and not named - anchors_of(ROOT / "docs" / "operations.md")


def test_help__of_every_command_is_told_of(commands):
    text = (ROOT / "docs" / "operations.md").read_text()
    assert not {name for name in commands if f"`sanad {name}" not in text}
