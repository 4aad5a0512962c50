"""What would it cost on a card: predicted peaks against the baseline, without one.

    python -m bench predict --baseline     write the baseline anew

A change of a library that makes a training step hold more fails here, with the terms that grew.
"""

from collections.abc import Iterator
from operator import attrgetter

import pytest

from bench.executor import Executor, Job
from bench.predict.alarm import WATCHED, Watched, judge
from bench.record import OK

PRELOAD = ("torch", "transformers", "peft", "bench.predict.trace")
SECONDS = 600.0


@pytest.fixture(scope="module")
def tracing(pytestconfig: pytest.Config) -> Iterator[Executor]:
    """All configurations, queued in workers: this process imports no torch."""
    if pytestconfig.getoption("--replay"):
        pytest.skip("--replay runs nothing")
    with Executor(PRELOAD, SECONDS) as executor:
        for watched in WATCHED:
            executor.submit(Job(watched.id, "bench.predict.alarm:traced", {"watched": watched.id}))
        yield executor


@pytest.mark.parametrize("watched", WATCHED, ids=attrgetter("id"))
def test_predicted_peak(watched: Watched, tracing: Executor) -> None:
    """A training step holds no more than it did, by half a percent and 8 MiB."""
    outcome = tracing.outcome(watched.id)
    assert outcome.status == OK, outcome.reason
    grown = judge(watched, (outcome.result or {})["phases"])
    assert not grown, grown
