"""A budget of memory as a person writes it: `8GB` or `7.5GiB`, a card's name, or a card of one's own, `laptop=7.5`."""

import math
import re

from bench.machine.cards import GIB, MIB, CardKind, read_card

UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": MIB, "GIB": GIB, "TIB": 2**40}


class BadBudget(ValueError):
    """A budget that is no amount of memory and no card."""


def read_budget(text: str) -> CardKind:
    """A card by its name, or one of whose memory torch's allocator gets all: so many bytes, as `8GB` or `7.5GiB`.

    NAME=GiB is a card of that size. Workspaces are those of most cards. Raises BadBudget without a unit or for nothing,
    UnknownName for a card that is not known, ValueError for a size that none has.
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
