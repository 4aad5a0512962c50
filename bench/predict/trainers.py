"""Profiles of the trainers that people use: the facts that decide how much memory a training step holds.

Each profile is a file in fixtures/trainers: what the program's code does, and where in the code. Nothing in a profile
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
    """A setting that users can change in the trainer, as they write it: the facts and hyperparameters it changes."""

    says: str
    where: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trainer:
    """What a trainer keeps in memory, and how it computes the loss; where: the place of each fact in its code."""

    name: str
    says: str
    base: str  # dtype of a frozen base that is not quantised
    float32_norms: bool  # in a frozen base in 4 or 8 bits; hidden states are then float32 too
    float32_embeddings: bool  # embeddings and head of such a base; likewise
    adapters: str  # dtype of adapters and of their optimizer states
    packed_adapters: str  # the same on a base in 4 or 8 bits
    all_weights: str  # dtype of weights if all of them train
    autocast: bool  # half-precision products of weights kept in float32
    single_forward: int  # float32 copies of the logits when the forward pass ends
    single_backward: int  # and when their gradient is computed
    half_forward: int  # copies in half precision when the forward pass ends
    half_backward: int  # and when their gradient is computed
    single_tokens: int = 0  # positions whose logits are in float32 at once; 0: all
    single_parts: int = 1  # the number of parts that the positions are split into for that
    half_tokens: int = 0  # positions whose logits exist in half precision at once; 0: all
    half_parts: int = 1  # the number of parts for that
    chunk_bytes: int = 0  # the most bytes of float32 logits at once, which limits the positions; 0: no limit
    keeps_packed_inputs: bool = False  # 4-bit layers keep their inputs, as bitsandbytes' did before 0.43.2
    whole_qkv: bool = False  # queries, keys and values are views of one product; the values keep all of it alive
    fused: bool = False  # kernels that keep a layer's inputs once, in half precision, and only gate and up
    offload: bool = False  # checkpoints go to host memory
    checkpointing: bool = True  # gradient checkpointing by default
    packed_checkpointing: bool = True  # the same for a base in 4 or 8 bits
    optimizer: str = "adamw"  # the default
    double: bool = True  # NF4's scales are quantised again by default
    where: Mapping[str, str] = field(default_factory=dict)
    switches: tuple[Switch, ...] = ()

    def adapt_recipe(self, recipe: Recipe, trains_all: bool, quantised: bool) -> Recipe:
        """The recipe with the dtype that the trainer keeps weights in, and the place where it puts checkpoints."""
        kept = self.all_weights if trains_all else self.packed_adapters if quantised else self.adapters
        return replace(recipe, adapter_precision=kept, offload_checkpoints=recipe.offload_checkpoints or self.offload)

    def positions(self, tokens: int, classes: int) -> tuple[int, int]:
        """The number of positions whose logits over `classes` exist at once: in float32, and in half precision."""
        single, half = (-(-tokens // parts) for parts in (self.single_parts, self.half_parts))
        most = max(1, self.chunk_bytes // (4 * classes)) if self.chunk_bytes else tokens
        return min(most, single, self.single_tokens or single), min(most, half, self.half_tokens or half)

    def with_switch(self, switch: Switch) -> "Trainer":
        """The trainer with the switch applied."""
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
    """The names of the profiles; today: only those that belong to no earlier year and to no single study."""
    names = sorted(path.stem for path in FOLDER.glob("*.toml"))
    return [name for name in names if not today or read_toml(FOLDER / f"{name}.toml").get("today", False)]


def read_trainer(name: str) -> Trainer:
    """The profile with this name. Raises UnknownName, and BadFile for a profile with a wrong or missing fact."""
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
