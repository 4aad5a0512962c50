"""Trainers that people use, as facts that decide what a training step holds.

Each profile is a file of fixtures/trainers: what the program's code does, with where it says so. Nothing in a profile
is fitted to a measured figure. OWN is this project's own step, for which the closed form was written.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from bench.core.files import BadFile, read_toml
from bench.core.paths import FIXTURES
from bench.core.recipe import Recipe
from bench.core.registry import unknown

FOLDER = FIXTURES / "trainers"
SINGLE, HALF = "float32", "bfloat16"
HYPERPARAMETERS = {item.name for item in fields(Recipe)}


@dataclass(frozen=True)
class Switch:
    """Something that a person can change in the trainer, as they write it: facts of it, and hyperparameters."""

    says: str
    where: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trainer:
    """What a trainer keeps in memory, and how it computes the loss; where: the place in its code of each fact."""

    name: str
    says: str
    base: str  # what a frozen base that is not quantised is kept in
    float32_norms: bool  # of a frozen base in 4 or 8 bits; hidden states are float32 with them
    float32_embeddings: bool  # embeddings and head of such a base; likewise
    adapters: str  # what adapters are kept in, and their optimizer's states
    packed_adapters: str  # those of a base in 4 or 8 bits
    all_weights: str  # what weights are kept in where all of them train
    autocast: bool  # products in half precision of what is kept in float32
    single_forward: int  # float32 copies of the logits when the forward pass ends
    single_backward: int  # and when their gradient is computed
    half_forward: int  # copies in half precision when the forward pass ends
    half_backward: int  # and when their gradient is computed
    single_tokens: int = 0  # positions whose logits are in float32 at once; 0: all
    single_parts: int = 1  # as many parts as the positions are split in for that
    half_tokens: int = 0  # positions whose logits exist in half precision at once; 0: all
    half_parts: int = 1  # as many parts
    chunk_bytes: int = 0  # the most that float32 logits take at once, as many positions as that is; 0: no limit
    keeps_packed_inputs: bool = False  # 4-bit layers keep what they read, as bitsandbytes' did before 0.43.2
    whole_qkv: bool = False  # queries, keys and values are one product, of which values keep the whole
    fused: bool = False  # kernels that keep a layer's inputs once, in half precision, and gate and up alone
    offload: bool = False  # checkpoints go to host memory
    checkpointing: bool = True  # gradient checkpointing unless one says otherwise
    packed_checkpointing: bool = True  # that of a base in 4 or 8 bits
    optimizer: str = "adamw"  # unless one says otherwise
    double: bool = True  # NF4's scales are quantised again unless one says otherwise
    where: Mapping[str, str] = field(default_factory=dict)
    switches: tuple[Switch, ...] = ()

    def trained(self, recipe: Recipe, trains_all: bool, quantised: bool) -> Recipe:
        """The recipe with what the trainer keeps weights in, and where it puts checkpoints."""
        kept = self.all_weights if trains_all else self.packed_adapters if quantised else self.adapters
        return replace(recipe, adapter_precision=kept, offload_checkpoints=recipe.offload_checkpoints or self.offload)

    def positions(self, tokens: int, classes: int) -> tuple[int, int]:
        """Of how many positions logits over so many classes exist at once: in float32, and in half precision."""
        single, half = (-(-tokens // parts) for parts in (self.single_parts, self.half_parts))
        most = max(1, self.chunk_bytes // (4 * classes)) if self.chunk_bytes else tokens
        return min(most, single, self.single_tokens or single), min(most, half, self.half_tokens or half)

    def switched(self, switch: Switch) -> "Trainer":
        """The trainer with the facts that the switch changes."""
        return replace(self, **switch.changes)


OWN = Trainer(
    name="",
    says="this project's own step",
    float32_norms=False,
    float32_embeddings=False,
    base=HALF,
    adapters=SINGLE,
    packed_adapters=SINGLE,
    all_weights=SINGLE,
    autocast=True,
    single_forward=2,
    single_backward=3,
    half_forward=1,
    half_backward=0,
)


def trainer_names(today: bool = False) -> list[str]:
    """The profiles there are; today: those that are of no earlier year and of no single study."""
    names = sorted(path.stem for path in FOLDER.glob("*.toml"))
    return [name for name in names if not today or read_toml(FOLDER / f"{name}.toml").get("today", False)]


def read_trainer(name: str) -> Trainer:
    """The profile of this name. Raises UnknownName, BadFile for a profile with a wrong or missing fact."""
    path = FOLDER / f"{name}.toml"
    if name not in trainer_names():
        raise unknown("trainer", name, trainer_names())
    return trainer_of(read_toml(path), path)


def trainer_of(table: dict[str, Any], path: Path) -> Trainer:
    table = {name: value for name, value in table.items() if name != "today"}
    names = {item.name for item in fields(Trainer)} - {"name"}
    needed = {item.name for item in fields(Trainer) if item.default is MISSING and item.default_factory is MISSING}
    if wrong := (table.keys() - names) | (needed - {"name"} - table.keys()):
        raise BadFile(f"{path.name}: wrong or missing {', '.join(sorted(wrong))}")
    switches = tuple(Switch(**one) for one in table.get("switches", []))
    for switch in switches:
        if wrong := (switch.changes.keys() - names) | (switch.recipe.keys() - HYPERPARAMETERS):
            raise BadFile(f"{path.name}: {switch.says}: there is no fact {', '.join(sorted(wrong))}")
    return Trainer(name=path.stem, **{**table, "switches": switches})
