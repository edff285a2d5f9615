# SPDX-License-Identifier: MIT
"""The service on a Galera cluster of three nodes, of which one after the other is killed under writes.

Each write carries an id that only it has: what was acknowledged must be in every node afterwards, once. What was
answered with an error may have been done, or not, but not twice.
"""
from contextlib import ExitStack

import pytest

import galera
from crowd import Crowd
from harness import Lab, Server, sanad, wait_for
from mariadb import available
from service import settings_of

pytestmark = pytest.mark.skipif(not (available() and galera.available()), reason="there is no galera-4")

CERTIFICATES = 400


@pytest.fixture
def cluster(tmp_path):
    with galera.Cluster(tmp_path / "cluster") as nodes:
        yield nodes


def settings(cluster, first, **more):
    """The hosts in their order, from that one on."""
    nodes = cluster.nodes[first:] + cluster.nodes[:first]
    return settings_of(nodes[0], DB_HOST=",".join(node.address for node in nodes), CACHE_ENABLED=False, **more)


def ids(node):
    return [row["text"] for row in node.rows("SELECT text FROM notes ORDER BY text")]


def assert_stored_once(crowds, cluster):
    """In all nodes, which are in sync. (What was done twice would have met its own id: 409.)"""
    stored = ids(cluster[0])
    for crowd in crowds:
        assert crowd.whole()
        assert set(crowd.statuses()) <= {200, 503}
        lost = {answer.id for answer in crowd.of("POST") if answer.status == 200} - set(stored)
        assert not lost, f"{len(lost)} acknowledged writes of {crowd.name} are lost"
    for node in cluster.nodes:
        assert ids(node) == stored
        moved = sum(text.startswith("move") for text in stored)
        assert node.rows("SELECT balance FROM accounts ORDER BY id") == [{"balance": str(-moved)},
                                                                         {"balance": str(moved)}]


def conflicts(cluster):
    """Transactions that one node undid for what another one had done."""
    return sum(int(cluster.status(node, name)) for node in cluster.nodes
               for name in ("local_bf_aborts", "local_cert_failures"))


def test_node_killed__no_acknowledged_write_is_lost_and_none_doubled(cluster, tmp_path):
    """Two services write to two nodes, partly to the same rows: there are conflicts, too."""
    with ExitStack() as stack:
        labs = [stack.enter_context(Lab(tmp_path / f"lab{first}", settings(cluster, first))) for first in (0, 1)]
        crowds = [stack.enter_context(Crowd(lab.port, work, clients=clients, pause=pause, name=f"{name}{number}"))
                  for number, lab in enumerate(labs)
                  for name, work, clients, pause in (("note", "POST /note", 40, 0.05),
                                                     ("move", "POST /transfer", 5, 0.1))]
        for killed in (0, 1):
            wait_for(lambda: conflicts(cluster) > 0 or killed, "transactions of two nodes to meet")
            cluster[killed].kill()
            for crowd in crowds:
                crowd.well()
            cluster.rejoin(cluster[killed])
            for crowd in crowds:
                crowd.answered(100)
        for crowd in crowds:
            crowd.rest()
        cluster.settle()
    assert_stored_once(crowds, cluster)


def test_node_killed__certificates_are_read_from_the_others(cluster, tmp_path):
    conf = settings(cluster, 0)
    sanad(tmp_path, "migrate", settings=conf)
    sanad(tmp_path, "demo", "--certificates", str(CERTIFICATES), settings=conf, timeout=300)
    with Server(tmp_path / "server", conf) as server:
        with Crowd(server.port, "GET /api/certificates/public?limit=20", "GET /api/spas", clients=50) as crowd:
            crowd.well()
            pages = server.get("/api/certificates/public?limit=100").json()
            cluster[0].kill()
            calm = crowd.well()
            crowd.answered(200)
        assert crowd.whole()
        assert set(crowd.statuses(since=calm)) == {200}
        assert crowd.statuses()[503] <= 50, "more failed than were under way"
        assert server.get("/api/certificates/public?limit=100").json() == pages


def test_minority__writes_nothing_until_it_is_one_no_more(cluster, tmp_path):
    """One node is killed and one silent: the third has lost its cluster, and must not be taken for one that serves."""
    with Lab(tmp_path / "lab", settings(cluster, 0, MAX_WORKERS=1)) as lab:
        with Crowd(lab.port, "POST /note", clients=30, name="note") as crowd:
            crowd.well()
            cluster[1].kill()
            wait_for(lambda: cluster.status(cluster[0], "cluster_size") == "2", "the others to go on without it")
            cluster[2].pause()
            wait_for(lambda: cluster.status(cluster[0], "cluster_status") != "Primary", "the minority to notice")
            wait_for(lambda: lab.get("/count/now").status == 503, "a read to be refused there")
            cluster[2].resume()
            crowd.well()
            cluster.rejoin(cluster[1])
            crowd.rest()
            cluster.settle()
    assert_stored_once([crowd], cluster)
