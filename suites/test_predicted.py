"""What would it cost on a card: predicted peaks against the baseline, without one; and against a card's, with one.

    python -m bench predict --baseline     write the baseline anew

A change of a library that makes a training step hold more fails here, with the terms that grew.
"""

from collections.abc import Iterator
from dataclasses import asdict

import pytest

from bench.core.case import Case
from bench.core.work import PRELOAD
from bench.executor import Executor, Job, Outcome
from bench.judge.predictions.card_traces import payload_of
from bench.judge.predictions.growth import Watched, judge
from bench.judge.predictions.on_cards import AGREES, compare_with_card, not_traced
from bench.machine.cards import MIB
from bench.records.record import OK, Record

PRELOAD_FOR_TRACES = (*PRELOAD, "bench.predict.trace.steps")
SECONDS = 600.0


@pytest.fixture(scope="module")
def tracing(pytestconfig: pytest.Config, entries: tuple[str, ...]) -> Iterator[Executor]:
    """Workers that trace: this process imports no torch."""
    if pytestconfig.getoption("--replay"):
        pytest.skip("--replay runs nothing")
    with Executor((*PRELOAD_FOR_TRACES, *entries), SECONDS) as executor:
        yield executor


def test_predicted_peak(watched: Watched, tracing: Executor) -> None:
    """A training step holds at most half a percent more than the baseline says."""
    tracing.submit(Job(watched.id, "bench.judge.predictions.growth:trace_configuration", asdict(watched)))
    outcome = tracing.outcome(watched.id)
    assert outcome.status == OK, could_not_trace(watched.id, outcome)
    grown = judge(watched, (outcome.result or {})["phases"])
    assert not grown, (
        f"{grown}; does this version of torch, transformers or peft keep more for the backward pass? if that is meant, "
        "write the baseline anew with `python -m bench predict --baseline`"
    )


def could_not_trace(name: str, outcome: Outcome) -> str:
    """The sentence for a training step that could not be traced."""
    return (
        f"the training step of {name} could not be traced: {outcome.status}, {outcome.reason}; expected a traced peak; "
        "is a library's model or method built differently now?"
    )


def on_card(case: Case) -> bool:
    return case.device != "cpu"


@pytest.fixture(scope="module")
def tracer(entries: tuple[str, ...]) -> Iterator[Executor]:
    """A worker for traces of records, also of those that --replay judges."""
    with Executor((*PRELOAD_FOR_TRACES, *entries), SECONDS) as executor:
        yield executor


@pytest.mark.cases(wanted=on_card)
def test_card_held_what_is_predicted(case: Case, record: Record, tracer: Executor) -> None:
    """The allocated peak of training is the trace's of the heaviest batch, within two percent."""
    if reason := not_traced(record):
        pytest.skip(reason)
    tracer.submit(Job(case.id, "bench.judge.predictions.card_traces:trace_record", payload_of(record)))
    outcome = tracer.outcome(case.id)
    assert outcome.status == OK, could_not_trace(case.id, outcome)
    seen = compare_with_card(record, (outcome.result or {})["bytes"])
    assert seen.agrees, (
        f"training held {seen.measured_bytes / MIB:,.1f} MiB, predicted {seen.traced_bytes / MIB:,.1f} MiB "
        f"({seen.error:+.1%}); allowed are {AGREES:.0%}; "
        "did the allocator, a kernel's workspace or the saved activations change?"
    )
