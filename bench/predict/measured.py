"""What a card really held, beside the trace of the very batches that it was given.

A record says which of its batches were the heaviest (`heaviest_batches`); their step is traced with today's
libraries and set, with the workspaces of the card's matrix products, against the allocated peak of the record's
training phase. Traces of committed records are kept in results/baselines, for each takes seconds.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.cards import blas_bytes
from bench.case import parse_case
from bench.methods import METHODS
from bench.models import MODELS
from bench.places import RESULTS, RUNS
from bench.predict.alarm import versions
from bench.predict.question import Question
from bench.predict.ways import trace_of
from bench.recipe import Recipe
from bench.record import Record, read_records, write_atomically
from bench.tables import markdown_lines

AGREES = 0.02  # of the allocated peak; a first bound, for kernels take and free more inside themselves
TRACES = RESULTS / "baselines" / "measured.json"
COMMAND = "python -m bench predict --measured --measure"
HEADS = ("case", "card", "allocated", "predicted", "error", "reserved", "driver", "s/step", "MFU")


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


def peaks_of(record: Record) -> dict[str, int | None]:
    """Peak bytes of the training phase: allocated, reserved and the driver's; {} where there was no card."""
    found: dict[str, int | None] = record.noisy.get("memory", {}).get("train", {})
    return found if "allocated_bytes" in found else {}


def not_traced(record: Record) -> str:
    """Why the record's step is not set against a trace; empty if it can be."""
    if not peaks_of(record):
        return "it was not run on a card"
    if "heaviest_batches" not in record.exact:
        return "it does not say which of its batches were the heaviest"
    if card := record.environment.get("emulation"):
        return f"the kernels of {card}, which was emulated, are not traced"
    if record.recipe["engine"] != "bench":
        return "the trace is of this project's own loop"
    return ""


def compared(record: Record, traced_bytes: int) -> Compared:
    return Compared(peaks_of(record)["allocated_bytes"] or 0, traced_bytes)


def payload_of(record: Record) -> dict[str, Any]:
    """What `traced` needs of a record."""
    (capability, _) = record.environment["compute_capability"]
    found = {"case": record.case, "recipe": record.recipe, "blas_bytes": blas_bytes(capability)}
    return found | {name: record.exact[name] for name in ("labels", "heaviest_batches")}


def traced(payload: dict[str, Any], say: Any = None) -> dict[str, Any]:
    """Work of a worker: the traced peak of the record's heaviest batch, whichever that is, and the workspaces."""
    case = parse_case(payload["case"])
    question = Question(MODELS[case.model], METHODS[case.method], Recipe(**payload["recipe"]), payload["labels"])
    peak = max(trace_of(question, extent).peak_bytes for extent in payload["heaviest_batches"])
    return {"bytes": peak + payload["blas_bytes"]}


def committed() -> Iterator[tuple[str, Record]]:
    """RUN/case and record of everything stored that a card ran and a trace can speak of."""
    for file in sorted(RUNS.glob("*/records.jsonl")):
        for record in read_records(file)[0].values():
            if record.ok and not not_traced(record):
                yield f"{file.parent.name}/{record.case}", record


def read_traces() -> dict[str, Any]:
    return dict(json.loads(TRACES.read_text(encoding="utf-8"))) if TRACES.exists() else {"traced": {}, "versions": {}}


def measure() -> None:
    """Trace the committed records that these libraries have not traced yet, and keep each trace as it is done."""
    kept = read_traces()
    found: dict[str, int] = dict(kept["traced"]) if kept["versions"] == versions() else {}
    for name, record in committed():
        if name not in found:
            found[name] = traced(payload_of(record))["bytes"]
            write_atomically(TRACES, json.dumps({"versions": versions(), "traced": found}, indent=1) + "\n")


def cells(record: Record, seen: Compared) -> list[str]:
    """A row of the table; GB of 10^9 bytes."""
    peaks, noisy = peaks_of(record), record.noisy
    share = noisy.get("utilisation")
    return [
        record.case,
        record.environment["accelerator"],
        f"{seen.measured_bytes / 1e9:.2f}",
        f"{seen.traced_bytes / 1e9:.2f}",
        f"{seen.error:+.1%}",
        *(f"{amount / 1e9:.2f}" if (amount := peaks[name]) else "–" for name in ("reserved_bytes", "driver_bytes")),
        f"{noisy['seconds_per_step']:.3f}",
        "–" if share is None else f"{share:.1%}",
    ]


def markdown() -> list[str]:
    """The table's lines for results/PREDICTIONS.md."""
    used = ", ".join(f"{name} {version}" for name, version in read_traces()["versions"].items())
    traces = read_traces()["traced"]
    found = [(record, compared(record, traces[name])) for name, record in committed() if name in traces]
    agree = sum(seen.agrees for _, seen in found)
    return [
        "## Beside what a card held",
        "",
        f"Written by `{COMMAND}`. Predicted are the trace of each record's heaviest batch, with",
        f"{used or 'no library yet'}, and the workspaces of matrix products;",
        "measured is torch's allocated peak of the training phase, beside it what the allocator kept reserved and what",
        f"the driver counted, in GB of 10^9 bytes. {agree} of {len(found)} are within {AGREES:.0%}.",
        "",
        *markdown_lines([HEADS, *(cells(*one) for one in found)], 2),
    ]
