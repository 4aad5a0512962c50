"""Which entries of a campaign fit into the minutes, and in which order they run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.campaign.entries import Entry
from bench.campaign.estimate import Cost
from bench.campaign.worth import Worth


class TooShort(ValueError):
    """No entry fits into the time."""


@dataclass(frozen=True)
class Offer:
    """An entry with what it costs and settles."""

    entry: Entry
    cost: Cost
    worth: Worth

    @property
    def worth_per_minute(self) -> float:
        return self.worth.total / self.cost.seconds * 60


def choose(offers: Sequence[Offer], seconds: float) -> list[Offer]:
    """The offers that fit, the best per minute first in choosing; they are run with the most valuable one first.

    So what is cut off when estimates were too low is worth least. Raises TooShort if none fits.
    """
    chosen, left = [], seconds
    for offer in by_worth_per_minute(offers):
        if offer.cost.seconds <= left:
            chosen.append(offer)
            left -= offer.cost.seconds
    if not chosen and offers:
        first = min(offers, key=lambda offer: offer.cost.seconds)
        raise TooShort(
            f"{seconds / 60:g} minutes are shorter than the shortest entry: {first.entry.name} takes about "
            f"{first.cost.seconds:.0f} s; give --minutes {math.ceil(first.cost.seconds / 60)} or more"
        )
    return sorted(chosen, key=lambda offer: -offer.worth.total)


def next_offer(waiting: Sequence[Offer], chosen: Sequence[Offer], seconds: float) -> Offer | None:
    """The offer to run now: the next chosen one that still fits, else the best per minute of all others that do."""
    order = [*(offer for offer in chosen if offer in waiting), *by_worth_per_minute(waiting)]
    return next((offer for offer in order if offer.cost.seconds <= seconds), None)


def by_worth_per_minute(offers: Sequence[Offer]) -> list[Offer]:
    return sorted(offers, key=lambda offer: -offer.worth_per_minute)
