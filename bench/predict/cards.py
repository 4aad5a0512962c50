"""Cards: what each has, and what of it a training step can use.

total_bytes is what the driver (or, for a T4, torch in source 003) reports for the card, not the number on its
box. Of that CUDA's context with the loaded kernels and cuBLAS's workspaces take CONTEXT, and the allocator
cannot hand out all of what is left in one piece; LOST_SHARE is what is set aside for that. Both are set by
experience, not measured here; a record of a real card has its own driver and reserved figures.
"""

import re
from dataclasses import dataclass

from bench.registry import Registry

GIB = 2**30
MIB = 2**20
CONTEXT = 600 * MIB
LOST_SHARE = 0.03
UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": MIB, "GIB": GIB, "TIB": 2**40}


@dataclass(frozen=True)
class KnownCard:
    """One kind of card. bfloat16, flash: whether it has products in that format, and flash attention (since Ampere)."""

    name: str
    says: str
    total_bytes: int
    bfloat16: bool = True
    flash: bool = True

    @property
    def usable_bytes(self) -> int:
        return int((self.total_bytes - CONTEXT) * (1 - LOST_SHARE))

    def cannot(self, precision: str) -> str:
        """Why a step in this precision is another one there; empty if it is not."""
        if precision == "bfloat16" and not self.bfloat16:
            return "no bfloat16: precision = float16 there, and other attention kernels"
        return ""


KNOWN_CARDS: Registry[KnownCard] = Registry("card")


def add(name: str, says: str, mebibytes: int, since_ampere: bool = True) -> None:
    KNOWN_CARDS.put(name, KnownCard(name, says, mebibytes * MIB, since_ampere, since_ampere))


add("rtx4060_8gb", "GeForce RTX 4060, 8 GB", 8188)
add("rtx3060_12gb", "GeForce RTX 3060, 12 GB", 12288)
add("t4", "Tesla T4, 16 GB, 14.748 GiB with its error correction", 15102, since_ampere=False)
add("rtx4080_16gb", "GeForce RTX 4080, 16 GB", 16376)
add("rtx3090", "GeForce RTX 3090, 24 GB", 24576)
add("l4", "L4, 24 GB", 23034)
add("a100_40gb", "A100, 40 GB", 40960)
add("l40s", "L40S, 48 GB", 46068)
add("a100_80gb", "A100, 80 GB", 81920)
add("h100_80gb", "H100, 80 GB", 81559)
add("h200", "H200, 141 GB", 143771)


class BadBudget(ValueError):
    """A budget that is no amount of memory and no card."""


def budget_bytes(text: str) -> int:
    """Bytes of a budget as `8GB`, `7.5GiB` or a card's name, of which what is usable.

    Raises BadBudget without a unit or for nothing, UnknownName for a card that is not known.
    """
    found = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*([A-Za-z]*)", text.strip())
    if found is None:
        return KNOWN_CARDS[text.strip()].usable_bytes
    amount, unit = float(found[1]), found[2].upper()
    if unit not in UNITS:
        raise BadBudget(f"budget {text!r} needs a unit: {text.strip()}GB is 10^9 bytes each, {text.strip()}GiB 2^30")
    if not amount:
        raise BadBudget(f"budget {text!r} must be more than nothing")
    return int(amount * UNITS[unit])
