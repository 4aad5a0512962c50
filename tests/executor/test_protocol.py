"""Every executor offers what the session and the judges use, under the same names with the same parameters."""

import inspect

import pytest

from bench.executor import Executor, RunsJobs

OFFERED = [name for name in vars(RunsJobs) if not name.startswith("_")]


def parameters(owner: type, name: str) -> list[str]:
    value = inspect.getattr_static(owner, name)
    call = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
    return list(inspect.signature(call).parameters)


@pytest.mark.parametrize("name", OFFERED)
def test_the_executor_of_this_machine_offers_all_of_the_protocol(name):
    own, asked = inspect.getattr_static(Executor, name), inspect.getattr_static(RunsJobs, name)
    assert type(own) is type(asked)
    assert parameters(Executor, name) == parameters(RunsJobs, name)
