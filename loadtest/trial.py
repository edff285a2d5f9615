# SPDX-License-Identifier: MIT
"""One run of paced (loadtest/paced/) against a node, with who used the processors meanwhile."""
import json
import subprocess
from contextlib import contextmanager

from node import NotMeasured, open_files, say

SPARE_FILES = 200


def start(program, port, cores, **options):
    words = [word for key, value in options.items() for word in ("--" + key.replace("_", "-"), str(value))]
    pinned = ["taskset", "-c", ",".join(map(str, cores))] if cores else []
    return subprocess.Popen([*pinned, str(program), "--port", str(port), *words], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stop(process):
    if process.poll() is None:
        process.kill()
    process.communicate()


def wait_for_word(process, word):
    for line in process.stderr:
        if line.strip() == word:
            return
        say(line.strip())
    raise NotMeasured(f"paced ended with {process.wait()} before it was {word}")


def processes_for(users, cores):
    """One a core, or as many as may open so many files."""
    return max(len(cores), -(-users // (open_files() - SPARE_FILES)))


def run(program, node, cores, **options):
    """Its result, and under "cores" how many each kept busy while it measured."""
    process = start(program, node.port, cores, processes=processes_for(options["users"], cores), **options)
    try:
        wait_for_word(process, "measuring")
        before = node.cpu()
        wait_for_word(process, "measured")
        server, db, machine = (after - earlier for after, earlier in zip(node.cpu(), before))
        out, _ = process.communicate(timeout=120)
    finally:
        stop(process)
    result = json.loads(out)
    load, seconds = result["cpu_seconds"], result["seconds"]
    others = max(0.0, machine - server - db - load)
    used = {"server": server, "database": db, "load": load, "others": others}
    result["cores"] = {who: value / seconds for who, value in used.items()}
    return result


@contextmanager
def idle(program, node, count, cores):
    """So many connections that have each had one answer, and then do nothing: users who think for a quarter of an hour."""
    process = start(program, node.port, cores, processes=processes_for(count, cores), users=count, ramp=3000, warmup=0,
                    seconds=3600, timeout=60, think_min=900000, think_max=900000)
    try:
        wait_for_word(process, "measuring")          # all have come
        yield
    finally:
        stop(process)


def failed(result):
    return result["failures"]["total"] + result["warm_failures"]["total"]


def kinds(result):
    """What failed, in words: "3 timeout, 1 broken"."""
    both = {kind: result["failures"][kind] + result["warm_failures"][kind] for kind in result["failures"] if kind != "total"}
    return ", ".join(f"{count:,} {kind}" for kind, count in both.items() if count) or "0"
