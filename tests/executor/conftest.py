"""Executors of every kind for the tests of this folder, and two machines of Ray that they share."""

import os
from functools import partial

import pytest
from ray_nodes import HEAD, PORT, TESTS, ray_nodes

from bench.core.paths import ROOT
from bench.executor import Executor
from bench.executor.cluster.agent import Setting
from bench.executor.cluster.queue import ClusterExecutor
from bench.machine.environment import describe_machine

PATIENCE_SECONDS = 60.0


def setting(**more):
    return Setting(**{"environment": describe_machine(), "case_timeout": 30.0, "workers": 2, **more})


@pytest.fixture(scope="session")
def nodes():
    """Ray's nodes of this session: one, with a card, is the head, and two can be lost."""
    pytest.importorskip("ray", reason="needs Ray, the extra ray")
    with ray_nodes() as found:
        found.start("one", "--num-cpus=2", cards="Tesla T4=15")
        yield found


@pytest.fixture(scope="session")
def cluster(nodes):
    """The connection to Ray's nodes."""
    from bench.executor.cluster.on_ray import RayCluster

    nodes.wait("one")
    found = RayCluster(f"{HEAD}:{PORT}")
    yield found
    found.close()


def make_local(case_timeout=30.0, **callbacks):
    return Executor((), case_timeout, **callbacks)


def make_slurm(case_timeout=30.0, **callbacks):
    from bench.executor.cluster.on_slurm import SlurmCluster, SlurmEngine

    engine = SlurmEngine(SlurmCluster(), setting(case_timeout=case_timeout), carrier="local", at_once=2)
    return ClusterExecutor(engine, PATIENCE_SECONDS, **callbacks)


def make_ray(cluster, case_timeout=30.0, **callbacks):
    from bench.executor.cluster.on_ray import RayEngine

    engine = RayEngine(cluster, setting(case_timeout=case_timeout))
    return ClusterExecutor(engine, PATIENCE_SECONDS, **callbacks)


@pytest.fixture(params=["local", "slurm", "ray"])
def make(request, monkeypatch, tmp_path):
    """A function that makes an executor of this kind: make(case_timeout=…, on_progress=…, on_done=…)."""
    monkeypatch.setenv("LORABENCH_CACHE", str(tmp_path / "cache"))
    if request.param == "local":
        return make_local
    if request.param == "slurm":
        pytest.importorskip("submitit", reason="needs submitit, the extra slurm")
        path = [str(ROOT), str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))  # a task is a Python of its own
        return make_slurm
    return partial(make_ray, request.getfixturevalue("cluster"))
