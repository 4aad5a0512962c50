"""A prediction as text: terms, phases, the allocator and the cards that it fits."""

from typing import TYPE_CHECKING

from bench.machine.cards import CARDS, CONTEXT_BYTES, GIB, LOST_SHARE, MIB
from bench.predict import terms
from bench.predict.card.fit import fit
from bench.predict.prediction import Prediction, of_allocator
from bench.predict.terms import Peaks, total

if TYPE_CHECKING:
    pass  # loads torch

ALLOCATOR = {
    "allocated_bytes": "allocated, in blocks", "reserved_bytes": "reserved", "least_bytes": "least it runs within",
}  # fmt: skip


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


def allocator_table(prediction: Prediction) -> list[str]:
    """The allocator's figures, GiB."""
    before = ["–"] if prediction.closed else []
    lines = [
        row(f"  {ALLOCATOR[name]}", [*before, f"{size / GIB:.2f}"]) for name, size in of_allocator(prediction).items()
    ]
    return ["GiB of torch's allocator", *lines] if lines else []


def row(name: str, cells: list[str]) -> str:
    return (f"{name:26}" + "".join(f"{cell:>14}" for cell in cells)).rstrip()


def cards_table(peaks: Peaks, precision: str) -> list[str]:
    """Each card: its memory, how much of it is usable, and whether that is enough."""
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
