"""A comparison of traces: the quality before training, the loss of every step, and the quality after, in time order.

On one machine float32 repeats to the bit, so the first figure that differs says where to look:

    quality before training    weights, tokenizer, attention mask; how many answers changed tells which
    loss of step 1             the forward pass in training, or initial values
    a later step               gradients, optimizer, schedule
    only the quality after     evaluation, saving, merging

A trace that differs is never worse by itself: the quality after training shows whether training suffered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.records.record import Record

ROUNDING = 1e-5  # relative; sums of float32 in another order

EVALUATION = "evaluation: how held-out examples are scored"
ENDING = "what follows training: evaluation, saving or merging"
BASE = "weights, tokenizer or attention mask"
ALL_ANSWERS = "weights, tokenizer or initial values: the answer to every held-out example changed"
SOME_ANSWERS = "the attention mask or padding: the answers to {changed} of {examples} held-out examples changed"
FORWARD = "the forward pass in training, or the initial values of what is trained"
UPDATE = "gradients, optimizer or learning-rate schedule"
MACHINE = "another machine, which rounds otherwise"

BEFORE, LOSSES, AFTER = "quality before training", "losses", "quality after training"


@dataclass(frozen=True)
class Departure:
    """Where two traces first diverge. figure: one of the three above; step: from 1, of the losses; size: relative."""

    figure: str
    step: int
    size: float
    before: float
    after: float
    suspect: str

    @property
    def is_rounding(self) -> bool:
        return self.size <= ROUNDING

    def says(self, steps: int) -> str:
        where = f"parts at step {self.step} of {steps}" if self.step else f"parts in the {self.figure}"
        return f"{where} by {self.size:.1e}" + (", which is a rounding" if self.is_rounding else "")


def relative(before: float, after: float) -> float:
    return abs(after - before) / max(abs(before), abs(after)) if before != after else 0.0


def first_difference(before: Mapping[str, float], after: Mapping[str, float]) -> tuple[float, float, float] | None:
    """(size, before, after) of the metric that both have and that differs most; None if none does."""
    found = [(relative(before[name], after[name]), before[name], after[name]) for name in before if name in after]
    largest = max(found, default=(0.0, 0.0, 0.0))
    return largest if largest[0] else None


def first_step(before: Sequence[float], after: Sequence[float]) -> int:
    """The first step, from 1, whose losses differ; 0 if none does. A step that one side lacks differs."""
    for number, pair in enumerate(zip(before, after, strict=False), 1):
        if pair[0] != pair[1]:
            return number
    return 0 if len(before) == len(after) else min(len(before), len(after)) + 1


def departure(
    before: Record, after: Record, untrained: tuple[Sequence[Any], Sequence[Any]] = ((), ())
) -> Departure | None:
    """Where the traces first diverge; None if all are equal to the bit.

    untrained: both sides' answers before training, if they were stored.
    """
    step = first_step(before.losses, after.losses)
    at_start = first_difference(before.quality_before, after.quality_before)
    if at_start:
        return Departure(BEFORE, 0, *at_start, suspect_at_start(step, *untrained))
    if step:
        old, new = (losses[step - 1] if step <= len(losses) else 0.0 for losses in (before.losses, after.losses))
        return Departure(LOSSES, step, relative(old, new), old, new, FORWARD if step == 1 else UPDATE)
    at_end = first_difference(before.quality, after.quality)
    return Departure(AFTER, 0, *at_end, ENDING) if at_end else None


def suspect_at_start(step: int, before: Sequence[Any], after: Sequence[Any]) -> str:
    """What may have changed the quality before training; step: the first whose losses differ too, 0 if none does."""
    if step != 1:
        return EVALUATION  # the first step's forward pass is the same
    if not before or len(before) != len(after):
        return BASE
    changed = sum(one != other for one, other in zip(before, after, strict=True))
    if changed == len(before):
        return ALL_ANSWERS
    return SOME_ANSWERS.format(changed=changed, examples=len(before))
