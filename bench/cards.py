"""Cards that are not there: what `--emulate` knows of each, as plain data.

Totals are what torch says such a card has (its out-of-memory messages name it; source 003's T4 has 14.748 GiB);
drivers differ by about one part in a hundred. A CUDA context's share is an estimate that no card here has
measured: it depends on the driver and on which kernels are loaded.
"""

import re
from dataclasses import dataclass, replace

from bench.case import PART
from bench.recipe import Recipe
from bench.registry import Registry, unknown

GIB = 2**30
CONTEXT_BYTES = 400 * 2**20
SIZE = re.compile(r"[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class CardKind:
    """A kind of card: its memory, the part of it that a process's CUDA context takes, and what it can compute."""

    name: str
    says: str
    total_gib: float
    supports_bfloat16: bool = True
    supports_flash_attention: bool = True
    context_bytes: int = CONTEXT_BYTES

    @property
    def total_bytes(self) -> int:
        return round(self.total_gib * GIB)

    @property
    def usable_bytes(self) -> int:
        """What is left for torch's allocator."""
        return self.total_bytes - self.context_bytes


CARDS: Registry[CardKind] = Registry("card")
for kind in (
    CardKind("t4", "NVIDIA T4, source 003's", 14.748, supports_bfloat16=False, supports_flash_attention=False),
    CardKind("rtx4060_8gb", "NVIDIA RTX 4060", 7.75),
    CardKind("rtx3090", "NVIDIA RTX 3090", 23.69),
    CardKind("a100_40gb", "NVIDIA A100 40 GB", 39.39),
):
    CARDS.put(kind.name, kind)


def read_card(text: str) -> CardKind:
    """A card by its name, or NAME=GiB: one of that size that can do all. Raises ValueError or UnknownName."""
    name, equals, size = text.partition("=")
    if not equals:
        if name not in CARDS:
            raise unknown("card", name, [*CARDS.names(), "NAME=GiB"])
        return CARDS[name]
    if name in CARDS:
        raise ValueError(f"{name} is a card of {CARDS[name].total_gib} GiB; give one of another size another name")
    if not PART.fullmatch(name) or not SIZE.fullmatch(size):
        raise ValueError(f"{text!r} is no card; expected NAME=GiB, as laptop=6 or laptop_card=7.5")
    card = CardKind(name, f"a card of {size} GiB", float(size))
    if card.usable_bytes <= 0:
        raise ValueError(f"{text!r}: a CUDA context alone takes {CONTEXT_BYTES / GIB:.2f} GiB; expected more")
    return card


def recipe_on(recipe: Recipe, card: CardKind) -> Recipe:
    """The recipe as this card can run it: without bfloat16 in float16, whose gradients torch scales in float32."""
    if card.supports_bfloat16:
        return recipe
    return replace(
        recipe,
        precision="float16" if recipe.precision == "bfloat16" else recipe.precision,
        adapter_precision="float32",
    )
