"""A recipe: every hyperparameter of a case.

One place holds the defaults (`fixtures/recipes/defaults.toml`); a task's file states its differences, and
inside it what a size of data, a method or a model needs differently. The digest of the result goes into
the record: records of different digests are never compared.

    fixtures/recipes/pos.toml
        [task]              differences from the defaults
        [sample]            differences when the data is the small sample
        [models.NAME]       differences for a model
        [methods.NAME]      differences for a method
        [sample.methods.NAME]   and for a method on the sample
        [variants.NAME]     the task TASK_NAME: this one with these differences, for a source's sweep

Later tables win over earlier ones, in the order printed. `[methods.NAME]` in defaults.toml is what a method is
made of in every task; it comes before all of them.
"""

import hashlib
import json
import math
import tomllib
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from bench.places import RECIPES
from bench.registry import nearest

SIZES = ("sample", "full")
MULTIPLE = 8  # lengths are padded to a multiple; matrix units like it
NATIVE = "native"  # a file's word for bfloat16 where the device has units for it, and float32 elsewhere
LEAST_DROPOUT = 0.01  # one of less may drop nothing of the few tokens on which a case shows that it acts
PORTABLE = "portable"  # a file's word for bfloat16 on a card and float32 on a processor: the same on every machine


class BadFile(ValueError):
    """A file that a person wrote has a wrong field or type; the message names file, key and remedy."""


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters. Lengths in tokens, fractions of 1, rates per optimizer step."""

    data: str  # "sample": fixtures/data; "full": the Hub's data set, from the mirror or the Hub
    engine: str  # "bench": our loop; "trainer": transformers.Trainer
    epochs: int
    max_steps: int  # optimizer steps; 0: epochs decide
    batch_size: int  # examples of one forward pass
    gradient_accumulation_steps: int
    learning_rate: float
    schedule: str  # "linear", "cosine" or "constant", after the warm-up
    warmup_fraction: float  # of all steps
    weight_decay: float
    max_gradient_norm: float
    precision: str  # "float32", "bfloat16" or "float16": what matrix products are computed in
    max_length: int  # an example longer than this is cut at its end
    padding: str  # "longest": to the batch's longest; "max_length": to a fixed shape
    packing: bool  # several examples in one row, kept apart by position ids
    length_bucketing: bool  # batches of examples of like length
    gradient_checkpointing: bool
    evaluation_batch_size: int
    evaluation_examples: int  # 0: all held-out examples
    train_examples: int  # 0: all
    evaluate_each_epoch: bool  # or only after the last
    generated_examples: int  # answers generated for the table of generated against actual
    rank: int
    alpha: float
    dropout: float  # of the adapter; where it has none, of the base (Method.adapter_dropout)
    virtual_tokens: int  # of prefix and prompt tuning
    initial_rank: int  # AdaLoRA starts here and ends at rank
    head_learning_rate: float  # of a new head; 0: learning_rate
    # Fields that came after the first records. Each has as its default what recipes did before it was there.
    loss: str = "logits"  # "chunked": the same loss, without ever holding all logits
    loss_chunk_tokens: int = 256  # positions whose logits are held at once
    optimizer: str = "adamw"  # "paged_adamw_8bit": states in 8 bits, and in host memory when the card is full
    adapter_precision: str = "float32"  # what weights that train are kept in
    offload_checkpoints: bool = False  # of gradient checkpointing, to host memory
    embeddings_on_host: bool = False  # frozen ones that no head shares
    quantise_head: bool = False  # head and embeddings in NF4, as the linear layers
    warmup_from_zero: bool = True  # the first step of a warm-up is at rate 0 and teaches nothing

    def digest(self) -> str:
        """Twelve hexadecimal digits that change with any hyperparameter.

        A later field counts only where it changes what recipes did before the field existed. A recipe that still does
        the same keeps its digest, and with it its records and thresholds. Today's defaults.toml plays no part.
        """
        values = asdict(self)
        for name, before in LATER_FIELDS.items():
            if values[name] == before:
                del values[name]
        if self.warmup_fraction == 0:
            values.pop("warmup_from_zero", None)  # without a warm-up it changes nothing
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]

    def examples_per_step(self) -> int:
        return self.batch_size * self.gradient_accumulation_steps


FIELDS: dict[str, Any] = {field.name: field.type for field in fields(Recipe)}
LATER_FIELDS = {field.name: field.default for field in fields(Recipe) if field.default is not MISSING}
CHOICES = {
    "data": SIZES,
    "engine": ("bench", "trainer"),
    "schedule": ("linear", "cosine", "constant"),
    "precision": ("float32", "bfloat16", "float16", NATIVE, PORTABLE),
    "padding": ("longest", "max_length"),
    "loss": ("logits", "chunked"),
    "optimizer": ("adamw", "paged_adamw_8bit"),
    "adapter_precision": ("float32", "bfloat16"),  # torch scales no gradients of float16
}
AT_LEAST_ONE = (
    "epochs", "batch_size", "gradient_accumulation_steps", "max_length", "evaluation_batch_size", "rank",
    "virtual_tokens", "initial_rank", "loss_chunk_tokens",
)  # fmt: skip
ABOVE_ZERO = {"learning_rate": "at 0 nothing is learned", "alpha": "it scales the adapter, which does nothing at 0"}
FRACTIONS: dict[str, tuple[Callable[[float], bool], str]] = {
    "warmup_fraction": (lambda share: share <= 1, "at most 1; write 0.06 for 6 % of the steps"),
    "dropout": (
        lambda share: share == 0 or LEAST_DROPOUT <= share < 1,
        f"0, or at least {LEAST_DROPOUT} and below 1; write 0.1 to drop a tenth of the values",
    ),
}


def read_toml(path: Path) -> dict[str, Any]:
    """The file's tables. Raises BadFile with the line if it is no TOML or not UTF-8."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadFile(f"{path}: {error}") from None


def checked(values: dict[str, Any], where: str) -> dict[str, Any]:
    """values with integers widened to float where the field is one. Raises BadFile for a wrong key or type."""
    result = {}
    for key, value in values.items():
        if key not in FIELDS:
            near = nearest(key, list(FIELDS))
            hint = f"did you mean {near[0]}?" if near else f"fields are {', '.join(FIELDS)}"
            raise BadFile(f"{where}: no hyperparameter {key!r}; {hint}")
        wanted = FIELDS[key]
        if wanted is float and type(value) is int:
            value = float(value)
        if type(value) is not wanted:
            raise BadFile(f"{where}: {key} = {value!r} must be {wanted.__name__}, not {type(value).__name__}")
        if key in CHOICES and value not in CHOICES[key]:
            raise BadFile(f"{where}: {key} = {value!r} must be one of {', '.join(CHOICES[key])}")
        if key in AT_LEAST_ONE and value < 1:
            raise BadFile(f"{where}: {key} = {value!r} must be at least 1")
        if wanted is float and not math.isfinite(value):
            raise BadFile(f"{where}: {key} = {value!r} must be a finite number")
        if wanted in (int, float) and value < 0:
            raise BadFile(f"{where}: {key} = {value!r} must not be negative")
        if key in ABOVE_ZERO and value == 0:
            raise BadFile(f"{where}: {key} = {value!r} must be above 0; {ABOVE_ZERO[key]}")
        if key in FRACTIONS:
            holds, says = FRACTIONS[key]
            if not holds(value):
                raise BadFile(f"{where}: {key} = {value!r} must be {says}")
        result[key] = value
    return result


@cache
def read_defaults(folder: Path) -> tuple[Recipe, dict[str, dict[str, Any]]]:
    """The recipe every task starts from, and what each method changes of it. Raises BadFile if a field is missing."""
    path = folder / "defaults.toml"
    tables = read_toml(path)
    methods = checked_groups(tables.pop("methods", {}), f"{path} [methods]")
    values = checked(tables, str(path))
    if missing := [name for name in FIELDS if name not in values]:
        raise BadFile(f"{path}: missing {', '.join(missing)}")
    return Recipe(**values), methods


@cache
def read_task_file(path: Path) -> dict[str, Any]:
    """A task's differences, every table checked. Raises BadFile."""
    tables = read_toml(path)
    for name, table in tables.items():
        where = f"{path} [{name}]"
        if name not in ("task", "sample", "full", "models", "methods", "variants") or not isinstance(table, dict):
            raise BadFile(
                f"{where}: tables are [task], [sample], [full], [models.NAME], [methods.NAME], [variants.NAME]"
            )
        if name in ("models", "methods", "variants"):
            tables[name] = checked_groups(table, where)
            continue
        own = {key: value for key, value in table.items() if key != "methods" or name not in SIZES}
        groups = table.get("methods", {}) if name in SIZES else {}
        tables[name] = {**checked(own, where), "methods": checked_groups(groups, f"{where}.methods")}
    return tables


def checked_groups(groups: Any, where: str) -> dict[str, dict[str, Any]]:
    """The tables of models or methods by name, each checked. Raises BadFile for what is no table."""
    checked_table(groups, where)
    return {name: checked(checked_table(group, f"{where}.{name}"), f"{where}.{name}") for name, group in groups.items()}


def checked_table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadFile(f"{where}: expected a table, saw {value!r}")
    return value


def variants_of(task: str, folder: Path = RECIPES) -> list[str]:
    """Names of the task's variants. Raises BadFile for a wrong field in its file."""
    path = folder / f"{task}.toml"
    return list(read_task_file(path).get("variants", {})) if path.exists() else []
