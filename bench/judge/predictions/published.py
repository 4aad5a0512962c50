"""Predictions compared with published figures and with another estimator's.

fixtures/published.toml has the figures with source and settings; their traces are kept in results/baselines, because
each takes seconds. Published figures come from other programs: from older libraries, other losses and kernels,
and from what an allocator reserved, where a prediction is of what tensors hold.
"""

import json
from dataclasses import dataclass, fields, replace
from typing import Any

from bench.core.files import BadFile, read_toml, write_atomically
from bench.core.paths import FIXTURES, RESULTS
from bench.judge.predictions.growth import versions
from bench.machine.cards import GIB
from bench.predict.both import trace_of
from bench.predict.formula.closed_form import closed_form
from bench.predict.question import Question, ask

FILE = FIXTURES / "published.toml"
TRACES = RESULTS / "baselines" / "published.json"
AGREES = 0.10  # what reserving and printing in whole gigabytes may differ by
UNITS = {"GB": 10**9, "GiB": GIB}


@dataclass(frozen=True)
class Published:
    """One published figure with the settings that its source states."""

    id: str
    source: str
    url: str
    says: str
    figure: float
    unit: str
    kind: str
    model: str
    method: str
    storage: str
    double_quantisation: bool
    batch: int
    length: int
    rank: int
    gradient_checkpointing: bool
    chunk_tokens: int
    trace: bool
    why: str
    fitcheck_mib: float
    fitcheck_command: str

    @property
    def published_bytes(self) -> float:
        return self.figure * UNITS[self.unit]

    def question(self) -> Question:
        asked = ask(
            self.model, self.method, batch_size=self.batch, max_length=self.length, rank=self.rank,
            gradient_checkpointing=self.gradient_checkpointing,
        )  # fmt: skip
        return replace(asked, method=replace(asked.method, storage=self.storage))

    def closed_bytes(self) -> int:
        return closed_form(self.question(), self.chunk_tokens, self.double_quantisation).peak_bytes


@dataclass(frozen=True)
class Compared:
    """A published figure, and what was predicted of it; traced_bytes is None where there is no trace."""

    published: Published
    closed_bytes: int
    traced_bytes: int | None

    def error(self, predicted: float) -> float:
        return predicted / self.published.published_bytes - 1

    @property
    def judgement(self) -> str:
        off = self.error(self.traced_bytes or self.closed_bytes)
        if abs(off) <= AGREES:
            return "agrees"
        return self.published.why or "unexplained"


def read_published() -> list[Published]:
    """The figures of the file. Raises BadFile for a row with a wrong or missing field."""
    names = {item.name for item in fields(Published)}
    rows = read_toml(FILE).get("published", [])
    for row in rows:
        if wrong := names ^ row.keys():
            raise BadFile(
                f"{FILE.name}: {row.get('id', 'a row without id')}: wrong or missing {', '.join(sorted(wrong))}"
            )
        if row["unit"] not in UNITS:
            raise BadFile(f"{FILE.name}: {row['id']}: unit {row['unit']!r} must be one of {', '.join(UNITS)}")
    return [Published(**row) for row in rows]


def read_traces() -> dict[str, Any]:
    return dict(json.loads(TRACES.read_text(encoding="utf-8"))) if TRACES.exists() else {"traced": {}, "versions": {}}


def read_cases() -> list[Compared]:
    """Every figure with the closed form's prediction of today and the trace that is kept."""
    traced = read_traces()["traced"]
    return [Compared(one, one.closed_bytes(), traced.get(one.id)) for one in read_published()]


def measure() -> list[Compared]:
    """Trace the figures' settings that these libraries have not traced yet, and keep each trace as it is done."""
    kept = read_traces()
    traced: dict[str, int] = dict(kept["traced"]) if kept["versions"] == versions() else {}
    for one in read_published():
        if one.trace and one.id not in traced:
            traced[one.id] = trace_of(one.question()).peak_bytes
            write_atomically(TRACES, json.dumps({"versions": versions(), "traced": traced}, indent=1) + "\n")
    return read_cases()
