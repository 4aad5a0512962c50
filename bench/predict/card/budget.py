"""A memory budget as a user writes it: `8GB` or `7.5GiB`, a card's name, or the user's own card, `laptop=7.5`."""

import math
import re

from bench.machine.cards import GIB, MIB, CardKind, read_card

UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": MIB, "GIB": GIB, "TIB": 2**40}


class BadBudget(ValueError):
    """The budget is neither an amount of memory nor a card."""


def read_budget(text: str) -> CardKind:
    """A card by its name, or a card with this much memory, all for torch's allocator: `8GB` or `7.5GiB`.

    NAME=GiB is a card of that size. Workspaces are those of most cards. Raises BadBudget for no unit or no memory,
    UnknownName for an unknown card, ValueError for a size that no card has.
    """
    name = text.strip()
    found = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*([A-Za-z]*)", name)
    if found is None:
        return read_card(name)
    amount, unit = float(found[1]), found[2].upper()
    if unit not in UNITS:
        raise BadBudget(f"budget {text!r} needs a unit: {found[1]}GB is 10^9 bytes each, {found[1]}GiB 2^30")
    size = amount * UNITS[unit]
    if size < 1 or math.isinf(size):
        raise BadBudget(f"budget {text!r} must be at least a byte, and finite")
    return CardKind(name, "a budget", size / GIB, context_bytes=0)
