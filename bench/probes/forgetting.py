"""Forgetting: the loss on general text that no recipe trains on, base against tuned.

The texts were written for this project, two to five sentences each on varied subjects, four of them not in
English. Nothing is asked and nothing parsed; what counts is nats a token, weighted by tokens.
"""

import math
from collections.abc import Sequence

from bench.probes import GARBLED, LOSS, PROBES, Family, Item
from bench.probes.reading import FOLDER, read_items


def never_parsed(answer: str, item: Item) -> str:
    return GARBLED


def nats_per_token(losses: Sequence[float], tokens: Sequence[int]) -> float:
    """Mean over all tokens of all texts; losses are summed nats of each text, tokens how many were predicted.

    Raises ValueError if no token was predicted or a loss is not finite: neither is a loss of 0.
    """
    if not sum(tokens):
        raise ValueError("no token was predicted: every text has at most one")
    if bad := [loss for loss in losses if not math.isfinite(loss)]:
        raise ValueError(f"{len(bad)} of {len(losses)} texts have a loss that is no number, as {bad[0]}")
    return sum(losses) / sum(tokens)


def relative_change(before: float, after: float) -> float:
    """How much of the loss came on top, as a fraction of the base's: 0.02 is 2 % worse."""
    return (after - before) / before


@PROBES.add("forgetting", Family, parse=never_parsed, languages=("en", "id", "es", "de", "fr"), kind=LOSS)
def forgetting() -> list[Item]:
    """General text: loss in nats a token, base against tuned."""
    return read_items(FOLDER / "forgetting.jsonl")
