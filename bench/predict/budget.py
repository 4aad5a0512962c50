"""A budget of memory as a person writes it: `8GB`, `7.5GiB`, or a card's name."""

import re

from bench.cards import CARDS, GIB, MIB

UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": MIB, "GIB": GIB, "TIB": 2**40}


class BadBudget(ValueError):
    """A budget that is no amount of memory and no card."""


def budget_bytes(text: str) -> int:
    """Bytes of a budget as `8GB`, `7.5GiB` or a card's name, of which what is usable.

    Raises BadBudget without a unit or for nothing, UnknownName for a card that is not known.
    """
    found = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*([A-Za-z]*)", text.strip())
    if found is None:
        return CARDS[text.strip()].room_bytes
    amount, unit = float(found[1]), found[2].upper()
    if unit not in UNITS:
        raise BadBudget(f"budget {text!r} needs a unit: {text.strip()}GB is 10^9 bytes each, {text.strip()}GiB 2^30")
    if not amount:
        raise BadBudget(f"budget {text!r} must be more than nothing")
    return int(amount * UNITS[unit])
