"""Every executor offers what the session and the judges use, under the same names with the same parameters."""

import inspect

import pytest

from bench.executor import Executor, RunsJobs
from bench.executor.cluster.queue import ClusterExecutor

OFFERED = [name for name in vars(RunsJobs) if not name.startswith("_")]


def parameters(owner: type, name: str) -> list[str]:
    value = inspect.getattr_static(owner, name)
    call = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
    return [one for one in inspect.signature(call).parameters if one != "self"]


@pytest.mark.parametrize("name", OFFERED)
def test_the_executor_of_this_machine_offers_all_of_the_protocol(name):
    own, asked = inspect.getattr_static(Executor, name), inspect.getattr_static(RunsJobs, name)
    assert isinstance(own, property) == isinstance(asked, property)
    assert parameters(Executor, name) == parameters(RunsJobs, name)


@pytest.mark.parametrize("name", [name for name in OFFERED if name != "preload_seconds"])  # an attribute there
def test_the_executor_of_a_cluster_offers_all_of_the_protocol(name):
    assert parameters(ClusterExecutor, name) == parameters(RunsJobs, name)
