# SPDX-License-Identifier: MIT
"""The master and its workers: all of them serve, the dead are replaced, a stop loses nothing that was let in."""
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

import harness
from clients import Clients, all_ready, errors_in, request_id, route_count, slots, wire_of
from harness import BINARY, LAB, Closed, environment, process_state, wait_for


def gone(pid):
    return process_state(pid) in ("", "Z")


def kill(pid, number=signal.SIGKILL):
    os.kill(pid, number)
    return time.monotonic()


def replaced(server, *dead):
    """Waits until every worker is ready and none of the dead is among them."""
    return wait_for(lambda: all_ready(server, dead), f"workers in the place of {dead}")


def start_slow(server, count, ms, pid=None):
    """Requests under way: connections whose answer comes after so many milliseconds."""
    before = server.metrics()["http"]["active_requests"]
    wires = [wire_of(server, pid) if pid else server.connect() for _ in range(count)]
    for wire in wires:
        wire.send(f"GET /slow?ms={ms} HTTP/1.1\r\nHost: t\r\nX-Request-Id: {request_id()}\r\n\r\n".encode())
    wait_for(lambda: server.metrics()["http"]["active_requests"] >= before + count, "the requests to be under way")
    return wires


def assert_nobody_left(pids, port):
    for pid in pids:
        wait_for(lambda: gone(pid), f"process {pid} to end")
    with socket.socket() as probe:       # no SO_REUSEPORT: fails if anybody has the port
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        probe.listen()


# -- all of them serve ------------------------------------------------------------------------------------------------

def test_workers__all_of_them_serve(lab):
    server = lab(MAX_WORKERS=4)
    with Clients(server.port, threads=4, requests_a_connection=1) as clients:
        wait_for(lambda: len(clients.pids) == 4, "each worker to answer")
    assert clients.failures == []
    assert clients.pids == set(server.workers())
    rows = slots(server)
    assert sorted(rows) == [0, 1, 2, 3]
    assert {row["pid"] for row in rows.values()} == clients.pids
    for row in rows.values():
        assert (row["state"], row["restarts"]) == ("ready", 0)
        assert 0 <= row["heartbeat_age_ms"] < 60000
        assert row["rss_bytes"] > 0


def test_workers__heartbeats_go_on(lab):
    server = lab(MAX_WORKERS=2)
    start = time.monotonic()
    time.sleep(1.5)
    ages = [row["heartbeat_age_ms"] for row in slots(server).values()]
    waited = (time.monotonic() - start) * 1000
    assert all(age < waited for age in ages), f"no heart has beaten for {ages} ms"
    text = server.get("/metrics?format=prometheus").body.decode()
    assert len(re.findall(r"^\w*heartbeat\w*\{[^}]*\} [0-9.e+-]+$", text, re.MULTILINE)) == 2


def test_workers__of_the_real_application(serve):
    server = serve(MAX_WORKERS=3, ACCESS_LOG="access.log")
    log = server.folder / "access.log"
    for _ in range(120):
        assert server.get("/api/certificates/templates").status == 200
    server.stop()
    lines = [line for line in log.read_text().splitlines() if "/templates" in line]
    assert len(lines) == 120
    assert {line.split()[-1] for line in lines} == {"0", "1", "2"}


# -- killed workers ---------------------------------------------------------------------------------------------------

class Pulse:
    """Asks /metrics now and then, and holds that no counter has fallen."""

    def __init__(self, server):
        self.server = server
        self.last = {}

    def feel(self):
        told = self.server.metrics()
        now = {("requests",): told["http"]["requests"], ("accepted",): told["connections"]["accepted"],
               ("bytes",): told["connections"]["bytes_out"], ("opened",): told["pool"]["opened"]}
        now.update({("status", key): value for key, value in told["http"]["statuses"].items()})
        now.update({("route", row["route"], row["method"]): row["count"] for row in told["http"]["routes"]})
        now.update({("restarts", row["index"]): row["restarts"] for row in told["workers"]})
        for key, value in self.last.items():
            assert now.get(key, 0) >= value, f"{key} fell from {value} to {now.get(key)}"
        self.last = now
        return told


# A connection that was made before the kill was noticed may have been the dead worker's, even if it had not answered.
NOTICE = 0.25


def assert_only_the_dead_failed(failures, deaths):
    """Each failure was on a connection of a killed worker: {pid: when it was dead}."""
    for failure in failures:
        if failure.pid is None:
            assert any(failure.opened < at + NOTICE and failure.failed > at - NOTICE for at in deaths.values()), failure
        else:
            assert failure.pid in deaths, f"a connection of a living worker failed: {failure}"
        assert not isinstance(failure.error, (ConnectionRefusedError, AssertionError)), failure


def test_kill__one_after_the_other_and_all_at_once_under_load(lab):
    server = lab(MAX_WORKERS=3)
    pulse, deaths = Pulse(server), {}
    with Clients(server.port, threads=8) as clients:
        wait_for(lambda: clients.answered > 200, "the load to begin")
        for index in range(3):
            pid = slots(server)[index]["pid"]
            deaths[pid] = kill(pid)
            rows = replaced(server, *deaths)
            assert rows[index]["restarts"] == 1
            before = clients.answered
            wait_for(lambda: clients.answered > before + 100, "the load to go on")
            pulse.feel()
        for pid in server.workers():
            deaths[pid] = kill(pid)
        rows = replaced(server, *deaths)
        before = clients.answered
        wait_for(lambda: clients.answered > before + 100, "the load to go on")
    pulse.feel()
    assert [rows[index]["restarts"] for index in range(3)] == [2, 2, 2]
    assert_only_the_dead_failed(clients.failures, deaths)

    told = server.metrics()
    counted = route_count(told, "/slow")
    assert clients.answered <= counted <= clients.answered + len(clients.failures)
    assert told["http"]["active_requests"] == 0
    for _ in range(100):
        assert server.get("/slow").status == 200
    after = pulse.feel()
    assert route_count(after, "/slow") == counted + 100
    assert after["http"]["requests"] == told["http"]["requests"] + 101       # and the metrics before
    assert after["connections"]["accepted"] == told["connections"]["accepted"] + 101
    log = server.log()
    for pid in deaths:
        assert re.search(rf" pid={pid} why=\"killed by SIGKILL", log), f"the log does not say how {pid} ended"


def test_kill__of_the_real_application_under_load(serve):
    """The same, with pages of the database; responses do not say whose they are, so the times must do."""
    server = serve(MAX_WORKERS=3, CACHE_ENABLED=False)
    target, pulse, deaths = "/api/certificates/public?limit=5", Pulse(server), {}
    body = server.get(target).body
    with Clients(server.port, threads=8, target=target, body=body) as clients:
        for pid in (*server.workers(), None):
            before = clients.answered
            wait_for(lambda: clients.answered > before + 100, "the load to go on")
            for victim in [pid] if pid else server.workers():
                deaths[victim] = kill(victim)
            replaced(server, *deaths)
            pulse.feel()
    assert_only_the_dead_failed(clients.failures, deaths)
    assert len(clients.failures) <= 8 * 4                    # no connection fails twice for one death
    counted = route_count(server.metrics(), "/api/certificates/public")
    assert clients.answered < counted <= 1 + clients.answered + len(clients.failures)


def test_kill__writes_and_cached_reads_of_others_go_on(lab):
    """A worker that dies in a transaction holds up nobody, and what was answered is in the database."""
    server = lab(MAX_WORKERS=2, DB_POOL_SIZE=4, DB_MAX_OVERFLOW=0)
    victim, other = server.workers()
    with server.connect() as holder, wire_of(server, other) as survivor:
        while holder.get("/slow").json()["pid"] != victim:
            holder.close()
            holder.__init__(server.port)
        holder.send(b"GET /hold?ms=60000 HTTP/1.1\r\nHost: t\r\n\r\n")
        wait_for(lambda: server.metrics()["checked_out"] == 1, "the transaction to be open")
        kill(victim)
        written = [survivor.request("POST", "/count").json()["value"] for _ in range(20)]
        assert written == list(range(1, 21))
        replaced(server, victim)
        assert survivor.get("/count").json()["value"] == 20
        for _ in range(10):
            assert server.get("/count").json()["value"] == 20
    assert server.rows("SELECT value FROM counter") == [{"value": 20}]


def test_kill__gauges_of_the_dead_are_cleared(lab):
    server = lab(MAX_WORKERS=2, DB_POOL_SIZE=6, DB_MAX_OVERFLOW=2)
    before = server.metrics()
    idle = [server.connect() for _ in range(10)]
    for wire in idle:
        wire.get("/health")
    holders = [server.connect() for _ in range(4)]
    for wire in holders:
        wire.send(b"GET /hold?ms=60000 HTTP/1.1\r\nHost: t\r\n\r\n")
    told = wait_for(lambda: (lambda m: m if m["http"]["active_requests"] == 4 else None)(server.metrics()), "4 active")
    assert told["connections"]["open"] >= 14
    dead = server.workers()
    for pid in dead:
        kill(pid)
    replaced(server, *dead)
    wait_for(lambda: server.metrics()["checked_out"] == 0, "the dead to hold nothing")    # a living one may, a moment
    told = server.metrics()
    assert told["http"]["active_requests"] == 0
    wait_for(lambda: server.metrics()["connections"]["open"] == 1, "only the one that asks to be open")
    assert (told["pool_size"], told["overflow"]) == (before["pool_size"], 0)
    for wire in idle + holders:
        assert wire.closed()
        wire.close()


def test_kill__who_waits_in_the_queue_is_served_by_the_replacement(lab):
    server = lab(MAX_WORKERS=1)
    pid, = server.workers()
    kill(pid, signal.SIGSTOP)
    waiting = [server.connect() for _ in range(30)]
    ids = [request_id() for _ in waiting]
    for wire, sent in zip(waiting, ids):
        wire.send(f"GET /slow HTTP/1.1\r\nHost: t\r\nX-Request-Id: {sent}\r\n\r\n".encode())
    kill(pid)
    for wire, sent in zip(waiting, ids):
        answer = wire.response()
        assert (answer.status, answer.header("X-Request-Id")) == (200, sent)
        assert answer.json()["pid"] not in (0, pid)
        wire.close()


def test_kill__a_stopped_worker_holds_up_only_its_own(lab):
    """SIGTERM to one worker: it finishes, is replaced, and nobody is refused."""
    server = lab(MAX_WORKERS=2)
    victim = server.workers()[0]
    slow, = start_slow(server, 1, 1000, victim)
    with Clients(server.port, threads=4, requests_a_connection=5) as clients:
        kill(victim, signal.SIGTERM)
        answer = slow.response()
        assert (answer.status, answer.json()["pid"], answer.header("Connection")) == (200, victim, "close")
        assert slow.closed()
        slow.close()
        replaced(server, victim)
    assert clients.failures == []
    assert not errors_in(server.log())


def test_crash__again_and_again_is_answered_with_patience(lab):
    """A worker that crashes at each request: replaced ever later, with a line that says why; the other serves."""
    server = lab(MAX_WORKERS=2)
    survivor = slots(server)[1]["pid"]
    with wire_of(server, survivor) as wire:
        for deaths in range(1, 4):
            victim = wait_for(lambda: [row["pid"] for row in wire.get("/metrics").json()["workers"]
                                       if row["index"] == 0 and row["state"] == "ready"], "worker 0")[0]
            with wire_of(server, victim) as crasher, pytest.raises(Closed):
                crasher.get("/crash")
            assert wire.get("/slow").json()["pid"] == survivor
            wait_for(lambda: [row for row in wire.get("/metrics").json()["workers"]
                              if row["index"] == 0 and row["restarts"] == deaths], "the replacement")
            assert wire.get("/slow").json()["pid"] == survivor
    lines = re.findall(r"worker (?:ended|keeps).*index=0 .*", server.log())
    assert len(lines) == 3 and all("SIGKILL" in line and "replaced_in_ms=" in line for line in lines), lines
    assert all_ready(server)


@pytest.mark.parametrize("limit", (10, 12, 16, 32))
def test_start__with_hardly_any_descriptors_serves_or_says_why_not(tmp_path, limit):
    """Somewhere among these a worker cannot start while the master can: then all ends, with 1."""
    settings = environment({**harness.DEFAULTS, "DB_PATH": tmp_path / "a.db", "MAX_WORKERS": 2})
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(["/usr/bin/prlimit", f"--nofile={limit}:{limit}", "--", str(LAB)], cwd=tmp_path,
                                   env=settings, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        wait_for(lambda: process.poll() is not None or harness.READY.search(log.read_text()), "an end or a beginning")
        if process.poll() is None:
            port = int(harness.READY.search(log.read_text()).group(1))
            for _ in range(20):
                with harness.Wire(port) as wire:
                    assert wire.request("GET", "/slow", {"Connection": "close"}).status == 200
            process.terminate()
            assert process.wait(harness.PATIENCE) == 0
        else:
            assert process.returncode == 1
            assert errors_in(log.read_text()), log.read_text()
            assert "[worker " not in log.read_text() or "no worker could start; giving up" in log.read_text()
    finally:
        process.kill()
        process.wait()
    harness.assert_no_report(log.read_text())


# -- starts that must fail --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("program", ([str(BINARY), "serve"], [str(LAB)]), ids=("sanad", "lab"))
def test_start__access_log_that_cannot_be_opened(tmp_path, program):
    path = tmp_path / "no" / "such" / "folder" / "access.log"
    settings = {**harness.DEFAULTS, "DB_PATH": tmp_path / "a.db", "ACCESS_LOG": path, "MAX_WORKERS": 3}
    done = subprocess.run(program, cwd=tmp_path, env=environment(settings), capture_output=True, text=True,
                          timeout=harness.PATIENCE)
    assert done.returncode == 1
    lines = errors_in(done.stderr)
    assert len(lines) == 1 and str(path) in lines[0] and "access log" in lines[0], done.stderr


def start_beside(folder, port, program=(str(BINARY), "serve")):
    folder.mkdir()
    settings = {**harness.DEFAULTS, "DB_PATH": folder / "a.db", "PORT": port}
    return subprocess.Popen(program, cwd=folder, env=environment(settings), stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def assert_port_refused(process, port):
    _, text = process.communicate(timeout=harness.PATIENCE)
    assert process.returncode == 1, text
    lines = errors_in(text)
    assert len(lines) == 1 and f"port {port}" in lines[0] and "in use" in lines[0], text


@pytest.mark.parametrize("shares", (False, True))
def test_start__port_in_use(tmp_path, shares):
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shares)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert_port_refused(start_beside(tmp_path / "late", port), port)
    assert not (tmp_path / "late" / "a.db").exists(), "the database was touched before the port was had"


def test_start__port_in_use_by_sanad_itself(tmp_path, lab):
    server = lab()
    assert_port_refused(start_beside(tmp_path / "late", server.port), server.port)
    assert server.get("/health").status == 200


def answers(port):
    try:
        with harness.Wire(port) as wire:
            return wire.get("/health").status == 200
    except (OSError, harness.Closed):
        return False


def test_start__of_several_at_once_one_gets_the_port(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = [start_beside(tmp_path / str(number), port, [str(LAB)]) for number in range(5)]
    try:
        wait_for(lambda: sum(process.poll() is not None for process in processes) >= 4, "all but one to end")
        winners = [process for process in processes if process.poll() is None]
        assert len(winners) == 1
        for process in processes:
            if process is not winners[0]:
                assert_port_refused(process, port)
        wait_for(lambda: answers(port), "the winner to serve")        # it takes signals from then on
        winners[0].terminate()
        _, text = winners[0].communicate(timeout=harness.PATIENCE)
        assert winners[0].returncode == 0 and not errors_in(text), text
    finally:
        for process in processes:
            process.kill()
            process.communicate()


# -- the end of the master --------------------------------------------------------------------------------------------

def test_master_killed__workers_finish_what_is_under_way_and_end(lab):
    server = lab(MAX_WORKERS=2)
    workers = server.workers()
    idle = [server.connect() for _ in range(4)]
    for wire in idle:
        assert wire.get("/slow").status == 200
    slow = start_slow(server, 6, 4000)
    kill(server.process.pid)
    assert server.process.wait() == -signal.SIGKILL
    for wire in slow:
        answer = wire.response()
        assert (answer.status, answer.header("Connection")) == (200, "close")
        assert wire.closed()
        wire.close()
    for wire in idle:
        assert wire.closed()
        wire.close()
    assert_nobody_left(workers, server.port)
    assert "master process is gone" in server.log()
    harness.assert_no_report(server.log())


STOPS = {
    "SIGTERM": lambda server: server.process.send_signal(signal.SIGTERM),
    "SIGINT": lambda server: server.process.send_signal(signal.SIGINT),
    "SIGQUIT": lambda server: server.process.send_signal(signal.SIGQUIT),
    # as a terminal does at Ctrl-C
    "ctrl-c": lambda server: [os.kill(pid, signal.SIGINT) for pid in (*server.workers(), server.process.pid)],
}


@pytest.mark.parametrize("how", STOPS)
def test_stop__loses_nothing_that_was_let_in(lab, how):
    """Every client gets whole responses up to one that says close, or is refused when it connects."""
    server = lab(MAX_WORKERS=3)
    workers, before = server.workers(), set(os.listdir("/dev/shm"))
    slow = start_slow(server, 4, 1200)
    with Clients(server.port, threads=5, requests_a_connection=1, until_refused=True) as short, \
            Clients(server.port, threads=4, requests_a_connection=1000000, until_refused=True) as kept:
        wait_for(lambda: short.answered > 100 and kept.answered > 100, "the load to begin")
        STOPS[how](server)
        for wire in slow:
            answer = wire.response()
            assert (answer.status, answer.header("Connection")) == (200, "close")
            assert wire.closed()
            wire.close()
        server.wait(0)
    assert short.failures + kept.failures == []
    assert (short.refused, kept.refused) == (5, 4)
    assert_nobody_left([server.process.pid, *workers], server.port)
    assert set(os.listdir("/dev/shm")) <= before
    assert not errors_in(server.log()) and "killing" not in server.log()


def test_stop__of_the_real_application_loses_nothing(serve):
    server = serve(MAX_WORKERS=2)
    target = "/api/certificates/public?limit=20"
    body = server.get(target).body
    same = {"threads": 4, "target": target, "body": body, "until_refused": True}
    with Clients(server.port, requests_a_connection=1, **same) as short, \
            Clients(server.port, requests_a_connection=1000000, **same) as kept:
        wait_for(lambda: short.answered > 100 and kept.answered > 100, "the load to begin")
        server.stop()
    assert short.failures + kept.failures == []
    assert (short.refused, kept.refused) == (4, 4)


def test_stop__does_not_wait_for_idle_connections(lab):
    server = lab(KEEP_ALIVE=3600, GRACEFUL_TIMEOUT=3600)
    idle = [server.connect() for _ in range(50)]
    for wire in idle[:40]:                 # the others never say a word
        assert wire.get("/slow").status == 200
    server.stop()
    for wire in idle:
        assert wire.closed()
        wire.close()


def test_stop__second_signal_is_quick(lab):
    server = lab(GRACEFUL_TIMEOUT=3600)
    workers = server.workers()
    slow, = start_slow(server, 1, 60000)
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "stopping" in server.log(), "the first signal to be heard")
    server.process.send_signal(signal.SIGTERM)
    server.wait(0)
    with pytest.raises(Closed):
        slow.response()
    assert "second stop signal" in server.log()
    assert_nobody_left(workers, server.port)


def test_stop__cuts_when_graceful_timeout_is_over(lab):
    server = lab(GRACEFUL_TIMEOUT=1)
    workers = server.workers()
    slow = start_slow(server, 2, 60000)
    server.stop(0)
    for wire in slow:
        with pytest.raises(Closed):
            wire.response()
    assert "GRACEFUL_TIMEOUT is over" in server.log()
    assert_nobody_left(workers, server.port)


def test_stop__kills_a_worker_that_does_not_react(lab):
    server = lab(GRACEFUL_TIMEOUT=1)
    workers = server.workers()
    kill(workers[0], signal.SIGSTOP)
    server.stop(0)
    assert "did not finish in time" in server.log()
    assert_nobody_left(workers, server.port)


def test_stop__and_start_again_on_the_same_port(lab, tmp_path):
    """Nothing is left that would be in the way: with connections in TIME_WAIT, ten times."""
    server = lab(MAX_WORKERS=2)
    server.settings["PORT"] = server.port
    for _ in range(5):
        assert server.get("/slow").status == 200
        server.stop()
        server.start()
    assert Path(server.folder).is_dir()
