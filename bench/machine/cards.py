"""Kinds of cards: the memory and features of each, used to predict what fits and for `--emulate`.

total_gib is what torch reports, also in its out-of-memory messages, not the number on the box. A comment beside a card
links the message (source 003's T4 has 14.748 GiB). Drivers differ by up to 1 %, and Windows reports more. A CUDA
context with its loaded kernels takes CONTEXT_BYTES of it, less on smaller cards. The allocator cannot use all of the
rest. A trace follows the allocator's rules (bench/predict/card/allocator.py). Without a trace LOST_SHARE is set aside:
full batches of 8B lose that share in traces, within two percentage points. A record of a real card has its own figures.
"""

import math
import re
from dataclasses import dataclass, replace

from bench.core.case import PART
from bench.core.recipe import Recipe
from bench.core.registry import Registry, unknown

GIB = 2**30
MIB = 2**20
CONTEXT_BYTES = (
    760 * MIB
)  # the driver's bytes minus reserved bytes after training 8B on an H200, CUDA 13 (results/runs/h200)
LOST_SHARE = 0.03
DRIVERS_DIFFER = 0.01
TURING, AMPERE, HOPPER, BLACKWELL = 7, 8, 9, (10, 12)  # major compute capabilities; Volta is 7 and Ada 8 too
# The size of cuBLAS's workspace as torch chooses it (CublasHandlePool.cpp: 32 MiB on Hopper and Blackwell, else
# ":4096:2:16:8"), and the number of them: one for the thread of the forward pass, one for autograd's.
LARGE_WORKSPACE = 32 * MIB
SMALL_WORKSPACE = (2 * 4096 + 8 * 16) * 1024
BLAS_WORKSPACES = 2


OTHER_CARD = "Ti|SUPER|Laptop|Max-Q"  # such a word after a card's name makes it another card


def is_card(name: str, device: str) -> bool:
    """Whether the driver's name for the device means the card of this name; an RTX 3080 Ti is not an RTX 3080."""
    return re.search(rf"\b{re.escape(name)}\b(?! *({OTHER_CARD}))", device, re.IGNORECASE) is not None


def blas_bytes(capability: int) -> int:
    """Bytes of cuBLAS's workspaces on a card of this major compute capability."""
    return BLAS_WORKSPACES * (LARGE_WORKSPACE if capability in (HOPPER, *BLACKWELL) else SMALL_WORKSPACE)


def with_lost_share(held_bytes: int) -> int:
    """Bytes that the allocator must be able to reserve for tensors and workspaces of this size."""
    return math.ceil(held_bytes / (1 - LOST_SHARE))


def needed_on_card(tensor_bytes: int) -> int:
    """Bytes that any card must have free for tensors of this size."""
    return with_lost_share(tensor_bytes + blas_bytes(HOPPER)) + CONTEXT_BYTES


SIZE = re.compile(r"[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class CardKind:
    """A kind of card: its memory, how much of it a process's CUDA context takes, and what it can compute."""

    name: str
    says: str
    total_gib: float
    supports_bfloat16: bool = True
    supports_flash_attention: bool = True
    context_bytes: int = CONTEXT_BYTES
    workspace_bytes: int = blas_bytes(AMPERE)

    @property
    def spelling(self) -> str:
        """The text from which read_card makes this card."""
        return self.name if self.name in CARDS else f"{self.name}={self.total_gib}"

    @property
    def total_bytes(self) -> int:
        return round(self.total_gib * GIB)

    @property
    def usable_bytes(self) -> int:
        """Bytes left for torch's allocator."""
        return self.total_bytes - self.context_bytes

    def why_not_on(self, device: str, total_bytes: int) -> str:
        """Why this device, with this many bytes, cannot stand in for the card; empty if it can."""
        if self.total_bytes <= total_bytes * (1 + DRIVERS_DIFFER):
            return ""
        return (
            f"{self.name} has {self.total_gib:.2f} GiB and {device} {total_bytes / GIB:.2f}; "
            "a card can stand in for a smaller one only"
        )

    def cannot(self, precision: str) -> str:
        """Why a step in this precision runs differently on this card; empty if it does not."""
        if precision == "bfloat16" and not self.supports_bfloat16:
            return "no bfloat16: precision = float16 there, and other attention kernels"
        return ""


CARDS: Registry[CardKind] = Registry("card")


def add(name: str, says: str, total_gib: float, capability: int = AMPERE) -> None:
    since_ampere = capability >= AMPERE
    kind = CardKind(name, says, total_gib, since_ampere, since_ampere, workspace_bytes=blas_bytes(capability))
    CARDS.put(name, kind)


add("rtx4060_8gb", "GeForce RTX 4060, 8 GB", 7.75)
add("rtx3070_8gb", "GeForce RTX 3070, 8 GB", 7.78)  # github.com/meta-llama/codellama/issues/82
add("rtx3080_10gb", "GeForce RTX 3080, 10 GB", 9.78)  # github.com/zai-org/CogVideo/issues/34
add("rtx2080ti", "GeForce RTX 2080 Ti, 11 GB", 10.76, TURING)  # github.com/skyhehe123/VoxSeT/issues/9
add("rtx4070_12gb", "GeForce RTX 4070 and 4070 Ti, 12 GB", 11.73)  # github.com/OpenLMLab/LOMO/issues/17
add("rtx3060_12gb", "GeForce RTX 3060, 12 GB", 11.76)
add("t4", "Tesla T4, 16 GB, source 003's", 14.748, TURING)
add(
    "rtx5060ti_16gb", "GeForce RTX 5060 Ti, 16 GB", 15.45, BLACKWELL[1]
)  # 15,816 MiB: github.com/Luce-Org/lucebox/issues/407
add("rtx_a4000", "RTX A4000, 16 GB", 15.61)  # github.com/DengKaiCQ/VGGT-Long/issues/6
add("rtx4080_16gb", "GeForce RTX 4080, 16 GB", 15.70)
add("l4", "L4, 24 GB", 22.17)
add("a30", "A30, 24 GB", 23.53)  # github.com/google/RB-Modulation/issues/5
add("rtx4090", "GeForce RTX 4090, 24 GB", 23.64)  # github.com/ali-vilab/VGen/issues/104
add("rtx3090", "GeForce RTX 3090, 24 GB", 23.69)
add("rtx5090", "GeForce RTX 5090, 32 GB", 31.37, BLACKWELL[1])  # github.com/Wan-Video/Wan2.1/issues/465
add("v100_32gb", "Tesla V100, 32 GB", 31.75, TURING)  # github.com/liucongg/ChatGLM-Finetuning/issues/23
add("a100_40gb", "A100, 40 GB", 39.39)
add("l40s", "L40S, 48 GB", 44.39)
add("rtx6000_ada", "RTX 6000 Ada, 48 GB with ECC", 44.43)  # github.com/DINGYANB/MTVCrafter/issues/21
add("h100_80gb", "H100, 80 GB", 79.11, HOPPER)
add("a100_80gb", "A100, 80 GB", 79.15)
add("rtx_pro_6000", "RTX PRO 6000 Blackwell, 96 GB", 94.97, BLACKWELL[1])  # github.com/antirez/ds4/issues/431
add("h200", "H200, 141 GB", 139.72, HOPPER)


def read_card(text: str) -> CardKind:
    """A card by its name; NAME=GiB gives one of that size with all features. Raises ValueError or UnknownName."""
    name, equals, size = text.partition("=")
    if not equals:
        if name not in CARDS:
            raise unknown("card", name, [*CARDS.names(), "NAME=GiB"])
        return CARDS[name]
    if name in CARDS:
        raise ValueError(f"{name} is a card of {CARDS[name].total_gib} GiB; give one of another size another name")
    if not PART.fullmatch(name) or not SIZE.fullmatch(size):
        raise ValueError(f"{text!r} is not a card; expected NAME=GiB, for example laptop=6 or laptop_card=7.5")
    card = CardKind(name, f"a card of {size} GiB", float(size))
    if card.usable_bytes <= 0:
        raise ValueError(f"{text!r}: a CUDA context alone takes {CONTEXT_BYTES / GIB:.2f} GiB; expected more")
    return card


def recipe_on(recipe: Recipe, card: CardKind) -> Recipe:
    """The recipe as this card can run it: float16 for bfloat16, with adapters in float32 for gradient scaling."""
    if card.supports_bfloat16:
        return recipe
    return replace(
        recipe,
        precision="float16" if recipe.precision == "bfloat16" else recipe.precision,
        adapter_precision="float32",
    )
