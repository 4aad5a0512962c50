"""Traces of records that a card ran: of their heaviest batches, and of all batches in order.

A worker traces the step of a record's heaviest batches with today's libraries, in the allocator's blocks and with the
workspaces of the card's matrix products. The bytes that the card reserved depend on all batches in order. For committed
records these batches are rebuilt from their data and traced; because each trace takes minutes, it is stored in
results/baselines.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.core.case import parse_case
from bench.core.files import write_atomically
from bench.core.paths import RESULTS
from bench.core.recipe import Recipe
from bench.judge.predictions.growth import versions
from bench.judge.predictions.on_cards import not_traced
from bench.machine.cards import blas_bytes
from bench.methods import METHODS
from bench.models import MODELS
from bench.predict.both import trace_of
from bench.predict.card.replay import Reserved, replay
from bench.predict.question import Question
from bench.records.record import Record, read_records
from bench.records.stored_runs import committed_runs
from bench.sources import SourceError

MOST_STEPS = 64  # of a run to trace in order; its heaviest batches follow
TRACES = RESULTS / "baselines" / "measured.json"


def card_blas_bytes(record: Record) -> int:
    (capability, _) = record.environment["compute_capability"]
    return blas_bytes(capability)


@dataclass(frozen=True)
class TraceWork:
    """What `traced` needs from a record, in JSON types."""

    case: str
    recipe: dict[str, Any]
    labels: int
    heaviest_batches: list[dict[str, Any]]
    blas_bytes: int


def payload_of(record: Record) -> dict[str, Any]:
    """The record's TraceWork as plain data."""
    exact = record.exact
    work = TraceWork(record.case, record.recipe, exact["labels"], exact["heaviest_batches"], card_blas_bytes(record))
    return asdict(work)


def trace_record(payload: dict[str, Any], say: Any = None) -> dict[str, Any]:
    """Run in a worker: the most bytes that any of a record's heaviest batches allocates, with the workspaces."""
    work = TraceWork(**payload)
    case = parse_case(work.case)
    question = Question(MODELS[case.model], METHODS[case.method], Recipe(**work.recipe), work.labels)
    logs = [trace_of(question, extent).log for extent in work.heaviest_batches]
    return {"bytes": max(replay(log, work.blas_bytes).allocated_bytes for log in logs)}


def committed_card_records() -> Iterator[tuple[str, Record]]:
    """RUN/case and record of every stored record that a card ran and that can be traced."""
    for file in (folder / "records.jsonl" for folder in committed_runs()):
        for record in read_records(file)[0].values():
            if record.ok and not not_traced(record):
                yield f"{file.parent.name}/{record.case}", record


def read_traces() -> dict[str, Any]:
    return dict(json.loads(TRACES.read_text(encoding="utf-8"))) if TRACES.exists() else {"traced": {}, "versions": {}}


def measure(mirror: Path | None) -> None:
    """Trace the committed records that these libraries have not traced yet, and store each trace when it is done.

    Reports why a record cannot be traced. If tracing itself has changed, delete the stored traces first.
    """
    kept = read_traces()
    found = dict(kept["traced"]) if kept["versions"] == versions() else {}
    for name, record in committed_card_records():
        if name in found:
            continue
        try:
            found[name] = asdict(reserved_of(record, mirror))
        except OtherData as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        write_atomically(TRACES, json.dumps({"versions": versions(), "traced": found}, indent=1) + "\n")


class OtherData(ValueError):
    """A record's batches cannot be rebuilt."""


def reserved_of(record: Record, mirror: Path | None) -> Reserved:
    """The bytes that the allocator reserves for the record's batches in order. Raises OtherData."""
    from bench.predict.trace.course import course_of, trace_course  # loads torch

    case, recipe = parse_case(record.case), Recipe(**record.recipe)
    try:
        course = course_of(case, recipe, mirror, MOST_STEPS)
    except SourceError as error:
        raise OtherData(str(error)) from None
    if course.identity != record.data["identity"]:
        raise OtherData(f"its data was {record.data['identity']}, and here it is {course.identity}")
    return replay(trace_course(course, recipe, lambda step: None).log, card_blas_bytes(record))
