"""A prediction as text for a person, and as plain data for a program."""

import json
from dataclasses import dataclass, field

from bench.cards import CARDS, CONTEXT_BYTES, GIB, LOST_SHARE, MIB
from bench.predict import terms
from bench.predict.question import Question
from bench.predict.terms import Phases, peak, peak_phase, total


@dataclass(frozen=True)
class Prediction:
    """Both predictions of one question: bytes by term for each phase; why one is missing; what may differ."""

    question: Question
    closed: Phases | None
    traced: Phases | None
    reasons: list[str] = field(default_factory=list)

    @property
    def peak_bytes(self) -> int:
        """The traced peak, or the closed form's where no trace was asked for."""
        return peak(self.traced or self.closed or {})

    def as_json(self) -> str:
        recipe = self.question.recipe
        said = {
            "model": self.question.entry.name,
            "method": self.question.method.name,
            "batch": recipe.batch_size,
            "length": recipe.max_length,
            "rank": recipe.rank,
            "precision": recipe.precision,
            "gradient_checkpointing": recipe.gradient_checkpointing,
            "recipe_digest": recipe.digest(),
            "peak_bytes": self.peak_bytes,
            "closed_form": self.closed,
            "trace": self.traced,
            "fits": {card.name: self.peak_bytes <= card.room_bytes for card in CARDS},
            "reasons": self.reasons,
        }
        return json.dumps(said, indent=1)


def as_text(prediction: Prediction) -> list[str]:
    """Lines: the question, the terms at the peak by both ways, the phases, the cards."""
    lines = [prediction.question.words, "", *terms_table(prediction), "", *phases_table(prediction), ""]
    lines += [f"note: {reason}" for reason in prediction.reasons]
    return [*lines, *cards_table(prediction)]


def terms_table(prediction: Prediction) -> list[str]:
    """The terms at the highest moment, MiB."""
    ways = [phases for phases in (prediction.closed, prediction.traced) if phases]
    peaks = [phases[peak_phase(phases)] for phases in ways]
    heads = [name for name, phases in (("closed form", prediction.closed), ("trace", prediction.traced)) if phases]
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
    ways = [phases for phases in (prediction.closed, prediction.traced) if phases]
    return [row("GiB by phase", []), *(
        row(f"  {phase}", [f"{total(phases.get(phase, {})) / GIB:.2f}" for phases in ways]) for phase in terms.PHASES
    )]  # fmt: skip


def row(name: str, cells: list[str]) -> str:
    return (f"{name:26}" + "".join(f"{cell:>14}" for cell in cells)).rstrip()


def cards_table(prediction: Prediction) -> list[str]:
    """Each card: what it has, what of it is usable, whether the peak is within that."""
    lines = [
        f"cards: total, usable (less {CONTEXT_BYTES // MIB} MiB of CUDA's own, {100 * LOST_SHARE:.0f} % that the "
        "allocator cannot hand out, and the workspaces of matrix products)"
    ]
    for card in CARDS:
        left = card.room_bytes - prediction.peak_bytes
        verdict = f"fits, {left / GIB:.1f} GiB free" if left >= 0 else f"lacks {-left / GIB:.1f} GiB"
        hint = card.cannot(prediction.question.recipe.precision)
        lines.append(
            f"  {card.name:14}{card.total_bytes / GIB:7.1f}{card.room_bytes / GIB:8.1f} GiB  {verdict}"
            + (f" ({hint})" if hint else "")
        )
    return lines
