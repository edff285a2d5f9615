# SPDX-License-Identifier: MIT
"""A Galera cluster of three real nodes on this machine, at 127.0.0.1, .2 and .3.

    with Cluster(folder) as cluster:
        cluster[0].kill()
        cluster.rejoin(cluster[0])

The nodes begin with the same data; one that comes back gets what it lacks from another's cache (wsrep_sst_twin).
"""
import os
import re
import shutil
from pathlib import Path

from harness import wait_for
from mariadb import ENVIRONMENT, MariaDB, free_port

PROVIDER = "/usr/lib/galera/libgalera_smm.so"
PATH = f"{ENVIRONMENT['PATH']}:{Path(__file__).parent}"      # of wsrep_sst_twin, too
NODES = 3
# How soon a node that is gone is given up by the others. The default is five seconds.
PATIENCE = "evs.keepalive_period=PT0.5S;evs.suspect_timeout=PT2S;evs.inactive_timeout=PT6S"


def available():
    return os.access(PROVIDER, os.R_OK)


def address(number):
    return f"127.0.0.{number + 1}"


class Cluster:
    def __init__(self, folder):
        port, group, transfer = free_port(), free_port(), free_port()
        members = ",".join(f"{address(number)}:{group}" for number in range(NODES))

        def node(number):
            here = address(number)
            return MariaDB(
                folder / f"node{number + 1}", here, port, PATH, wsrep_on="ON", wsrep_provider=PROVIDER,
                wsrep_cluster_name="sanad", wsrep_cluster_address=f"gcomm://{members}", wsrep_node_address=here,
                wsrep_node_name=f"node{number + 1}", wsrep_sst_method="twin", binlog_format="ROW",
                innodb_autoinc_lock_mode=2, wsrep_provider_options=
                f"gmcast.listen_addr=tcp://{here}:{group};ist.recv_addr=tcp://{here}:{transfer};gcache.size=64M;{PATIENCE}")
        self.nodes = [node(number) for number in range(NODES)]

    def __getitem__(self, number):
        return self.nodes[number]

    def __enter__(self):
        first, *others = self.nodes
        first.start("--wsrep-new-cluster")
        first.stop()
        for other in others:
            shutil.copytree(first.data, other.data)
        first.start("--wsrep-new-cluster")
        for other in others:
            self.wait_for(other.start())
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            node.close()

    def rejoin(self, node):
        """Starts a node that was killed, as its service does: at the place that its data have reached."""
        node.log_path.unlink()
        node.run("--wsrep-recover")
        place = re.findall(r"Recovered position:? *(\S+:-?\d+)", node.log())[-1]
        node.start(f"--wsrep-start-position={place}")
        self.wait_for(node)

    @staticmethod
    def status(node, name):
        rows = node.rows(f"SHOW GLOBAL STATUS LIKE 'wsrep_{name}'")
        return rows[0]["Value"] if rows else None

    def wait_for(self, node):
        """Until it has what the others have."""
        wait_for(lambda: self.status(node, "local_state_comment") == "Synced" and self.status(node, "ready") == "ON",
                 f"{node.address} to be in sync")

    def settle(self):
        """Until all have what one of them has now."""
        last = self.status(self.nodes[0], "last_committed")
        for node in self.nodes:
            wait_for(lambda: int(self.status(node, "last_committed")) >= int(last), f"{node.address} to catch up")
