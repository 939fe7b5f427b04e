"""Runs on a cluster of two nodes of this machine: the same files as one machine writes, a node that dies among them."""

import os
import threading
import time
from pathlib import Path

import pytest
from narrated import content

from vecspeak.errors import UserError

ray = pytest.importorskip("ray")
OPTIONS = {"id": "sku", "rows_per_shard": 8}


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one processor each beside a head without any, whose workers find the helpers of the tests."""
    from ray.cluster_utils import Cluster

    tests = Path(__file__).parents[1]
    environment = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": os.pathsep.join([str(tests), str(tests / "bulk")]),
        "OMP_NUM_THREADS": "1",
    }
    with pytest.MonkeyPatch.context() as patched:
        for name, value in environment.items():
            patched.setenv(name, value)
        memory = {"object_store_memory": 100 << 20}
        found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **memory})
        found.nodes_of_work = [found.add_node(num_cpus=1, **memory) for _ in range(2)]
        found.wait_for_nodes()
        yield found
        ray.shutdown()
        found.shutdown()


def test_two_nodes_write_what_one_machine_does(vs, table, tmp_path, cluster):
    vs.narrate(tmp_path / "whole", table, **OPTIONS)
    found = vs.narrate(tmp_path / "out", table, ray=cluster.address, **OPTIONS)
    assert (found.written, found.shards) == (500, 63)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_what_a_job_raises_comes_from_the_node(vs, table, tmp_path, cluster):
    """The table is cut after its footer was read, so every node fails."""
    from vecspeak.bulk import run

    opened = run.open_source

    def cut(given, **more):
        found = opened(given, **more)
        table.write_bytes(table.read_bytes()[:200])
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run, "open_source", cut)
        with pytest.raises(UserError, match="changed while the run went on"):
            vs.narrate(tmp_path / "out", table, ray=cluster.address, **OPTIONS)


def test_a_node_that_dies_amid_the_run_loses_and_doubles_nothing(vs, table, tmp_path, cluster):
    vs.narrate(tmp_path / "whole", table, **OPTIONS)
    out, died = tmp_path / "out", []

    def kill_a_node():
        while not died:
            done = len(list((out / "words").glob("*.parquet"))) if out.exists() else 0
            if 5 <= done < 55:
                cluster.remove_node(cluster.nodes_of_work[0], allow_graceful=False)
                died.append(done)
            time.sleep(0.005)

    killer = threading.Thread(target=kill_a_node, daemon=True)
    killer.start()
    found = vs.narrate(out, table, ray=cluster.address, **OPTIONS)
    killer.join(timeout=60)
    assert died and died[0] < 63, "no node died while the run went on"
    assert (found.written, found.shards, found.resumed) == (500, 63, 0)
    assert content(out) == content(tmp_path / "whole")
