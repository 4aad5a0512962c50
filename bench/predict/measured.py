"""What a card really held, beside the trace of the very batches that it was given.

A record says which of its batches were the heaviest (`heaviest_batches`); their step is traced with today's
libraries and set, with the workspaces of the card's matrix products, against the allocated peak of the record's
training phase.
"""

from dataclasses import dataclass
from typing import Any

from bench.cards import workspace_bytes
from bench.case import parse_case
from bench.methods import METHODS
from bench.models import MODELS
from bench.predict.question import Question
from bench.predict.ways import trace_of
from bench.recipe import Recipe
from bench.record import Record

AGREES = 0.02  # of the allocated peak: what kernels take and free inside themselves


@dataclass(frozen=True)
class Compared:
    """A record's allocated peak of training and its trace, in bytes."""

    measured_bytes: int
    traced_bytes: int

    @property
    def error(self) -> float:
        """Of the prediction, as a share of what was measured."""
        return self.traced_bytes / self.measured_bytes - 1

    @property
    def agrees(self) -> bool:
        return abs(self.error) <= AGREES


def measured_bytes(record: Record) -> int | None:
    """The allocated peak of the training phase; None where it was not run on a card."""
    return record.noisy.get("memory", {}).get("train", {}).get("allocated_bytes")


def not_traced(record: Record) -> str:
    """Why the record's step is not set against a trace; empty if it can be."""
    if measured_bytes(record) is None:
        return "it was not run on a card"
    if "heaviest_batches" not in record.exact:
        return "it does not say which of its batches were the heaviest"
    if card := record.environment.get("emulation"):
        return f"the kernels of {card}, which was emulated, are not traced"
    if record.recipe["engine"] != "bench":
        return "the trace is of this project's own loop"
    return ""


def payload_of(record: Record) -> dict[str, Any]:
    """What `traced` needs of a record."""
    (capability, _) = record.environment["compute_capability"]
    found = {"case": record.case, "recipe": record.recipe, "workspace_bytes": workspace_bytes(capability)}
    return found | {name: record.exact[name] for name in ("labels", "heaviest_batches")}


def traced(payload: dict[str, Any], say: Any) -> dict[str, Any]:
    """Work of a worker: the traced peak of the record's heaviest batch, whichever that is."""
    case = parse_case(payload["case"])
    question = Question(MODELS[case.model], METHODS[case.method], Recipe(**payload["recipe"]), payload["labels"])
    peak = max(trace_of(question, extent).peak_bytes for extent in payload["heaviest_batches"])
    return {"bytes": peak + payload["workspace_bytes"]}
