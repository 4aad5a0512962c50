"""A prediction as text for a person, and as plain data for a program."""

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from bench.cards import AMPERE, CARDS, CONTEXT_BYTES, GIB, LOST_SHARE, MIB, blas_bytes
from bench.predict import terms
from bench.predict.fit import fit, least
from bench.predict.question import Question
from bench.predict.replay import unhindered
from bench.predict.search import Largest
from bench.predict.terms import Peaks, total

if TYPE_CHECKING:
    from bench.predict.course import Course  # loads torch

ALLOCATOR = {
    "allocated_bytes": "allocated, in blocks", "reserved_bytes": "reserved", "least_bytes": "least it runs within",
}  # fmt: skip


@dataclass(frozen=True)
class Prediction:
    """Both predictions of one question, at least one of which is there.

    reasons: why one is missing, what may differ, what was searched.
    course: the batches that were traced, where they are a case's own and not full ones.
    searched: what was found, where the question is the largest that fits.
    """

    question: Question
    closed: Peaks | None
    traced: Peaks | None
    reasons: list[str] = field(default_factory=list)
    course: "Course | None" = None
    searched: Largest | None = None

    @property
    def best(self) -> Peaks:
        """The trace, or the closed form where no trace was asked for."""
        return self.traced or self.closed or Peaks({})

    @property
    def peak_bytes(self) -> int:
        return self.best.peak_bytes

    def as_json(self) -> str:
        recipe = self.question.recipe
        said = {
            "model": self.question.entry.name,
            "method": self.question.method.name,
            "batch": recipe.batch_size,
            "length": recipe.max_length,
            "rank": recipe.rank if self.question.has_rank else None,
            "precision": recipe.precision,
            "gradient_checkpointing": recipe.gradient_checkpointing,
            "recipe_digest": recipe.digest(),
            "peak_bytes": self.peak_bytes,
            "closed_form": self.closed.phases if self.closed else None,
            "trace": self.traced.phases if self.traced else None,
            "allocator": of_allocator(self),
            "fits": {card.name: fit(self.best, card).fits for card in CARDS},
            "reasons": self.reasons,
        }
        if self.searched:
            said["searched"] = self.searched.as_json()
        if self.course:
            said["case"] = self.course.case.id
            said["steps"] = [[[one.rows, one.length, one.scored] for one in step] for step in self.course.steps]
        return json.dumps(said, indent=1)


def as_text(prediction: Prediction) -> list[str]:
    """Lines: the question, the terms at the peak by both ways, the phases, the allocator, the cards."""
    words = (prediction.course or prediction.question).words
    lines = [words, "", *terms_table(prediction), "", *phases_table(prediction)]
    lines += [*allocator_table(prediction), ""]
    lines += [f"note: {reason}" for reason in prediction.reasons]
    return [*lines, *cards_table(prediction.best, prediction.question.recipe.precision)]


def terms_table(prediction: Prediction) -> list[str]:
    """The terms at the highest moment, MiB."""
    peaks = [found.terms for found in (prediction.closed, prediction.traced) if found]
    heads = [name for name, found in (("closed form", prediction.closed), ("trace", prediction.traced)) if found]
    lines = [row("MiB at the peak", heads)]
    for name in terms.ORDER:
        if any(name in found for found in peaks):
            lines.append(row(name, [f"{found.get(name, 0) / MIB:,.1f}" for found in peaks]))
    lines.append(row("together", [f"{total(found) / MIB:,.1f}" for found in peaks]))
    lines.append(row("", [f"{total(found) / GIB:.2f} GiB" for found in peaks]))
    lines.append(row("", [f"{total(found) / 1e9:.2f} GB" for found in peaks]))
    return lines


def phases_table(prediction: Prediction) -> list[str]:
    """The peak of each phase, GiB."""
    ways = [found.phases for found in (prediction.closed, prediction.traced) if found]
    return [row("GiB by phase", []), *(
        row(f"  {phase}", [f"{total(phases.get(phase, {})) / GIB:.2f}" for phases in ways]) for phase in terms.PHASES
    )]  # fmt: skip


def of_allocator(prediction: Prediction) -> dict[str, int]:
    """What torch's allocator makes of the storages, and workspaces as of an A100; {} where none were followed."""
    log, workspaces = prediction.best.log, blas_bytes(AMPERE)
    if not log.entries:
        return {}
    return {**asdict(unhindered(log, workspaces)), "least_bytes": least(log, workspaces)}


def allocator_table(prediction: Prediction) -> list[str]:
    """The same in lines, GiB."""
    before = ["–"] if prediction.closed else []
    lines = [
        row(f"  {ALLOCATOR[name]}", [*before, f"{size / GIB:.2f}"]) for name, size in of_allocator(prediction).items()
    ]
    return ["GiB of torch's allocator", *lines] if lines else []


def row(name: str, cells: list[str]) -> str:
    return (f"{name:26}" + "".join(f"{cell:>14}" for cell in cells)).rstrip()


def cards_table(peaks: Peaks, precision: str) -> list[str]:
    """Each card: what it has, what of it is usable, whether that is enough."""
    share = f"; of what is needed, {100 * LOST_SHARE:.0f} % and workspaces of matrix products are set aside"
    lines = [
        f"cards: total, usable (less {CONTEXT_BYTES // MIB} MiB of CUDA's own){'' if peaks.log.entries else share}",
    ]
    for card in CARDS:
        hint = card.cannot(precision)
        lines.append(
            f"  {card.name:14}{card.total_bytes / GIB:7.1f}{card.usable_bytes / GIB:8.1f} GiB  {fit(peaks, card).says}"
            + (f" ({hint})" if hint else "")
        )
    return lines
