"""Hyperparameter files: the defaults and each task's differences, checked key by key.

    fixtures/recipes/pos.toml
        [task]              differences from the defaults
        [sample]            differences when the data is the small sample
        [models.NAME]       differences for a model
        [methods.NAME]      differences for a method
        [sample.methods.NAME]   and for a method on the sample
        [variants.NAME]     the task TASK_NAME: this one with these differences, for a source's sweep

Later tables override earlier ones, in the order printed. `[methods.NAME]` in defaults.toml belongs to the method in
every task; it comes before all of them.
"""

import math
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from bench.core.files import BadFile, read_toml
from bench.core.paths import RECIPES
from bench.core.recipe import NATIVE, PORTABLE, SIZES, Recipe
from bench.core.registry import nearest

LEAST_DROPOUT = 0.01  # a smaller one may drop none of the few tokens by which a case proves that it acts
FIELDS: dict[str, Any] = {field.name: field.type for field in fields(Recipe)}
CHOICES = {
    "data": SIZES,
    "engine": ("bench", "trainer"),
    "schedule": ("linear", "cosine", "constant"),
    "precision": ("float32", "bfloat16", "float16", NATIVE, PORTABLE),
    "padding": ("longest", "max_length"),
    "loss": ("logits", "chunked"),
    "optimizer": ("adamw", "paged_adamw_8bit", "galore_adamw"),
    "adapter_precision": ("float32", "bfloat16"),  # torch does not scale gradients of float16
}
AT_LEAST_ONE = (
    "epochs", "batch_size", "gradient_accumulation_steps", "max_length", "evaluation_batch_size", "rank",
    "virtual_tokens", "initial_rank", "loss_chunk_tokens", "block_size",
)  # fmt: skip
ABOVE_ZERO = {
    "learning_rate": "at 0 nothing is learned",
    "learning_rate_ratio": "at 0 B stays 0 and nothing is learned",
    "alpha": "it scales the adapter, which does nothing at 0",
}
FRACTIONS: dict[str, tuple[Callable[[float], bool], str]] = {
    "warmup_fraction": (lambda share: share <= 1, "at most 1; write 0.06 for 6 % of the steps"),
    "dropout": (
        lambda share: share == 0 or LEAST_DROPOUT <= share < 1,
        f"0, or at least {LEAST_DROPOUT} and below 1; write 0.1 to drop a tenth of the values",
    ),
}


def check_values(values: dict[str, Any], where: str) -> dict[str, Any]:
    """values, with integers converted to float for float fields. Raises BadFile for a wrong key or type."""
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
    """The recipe that every task starts from, and each method's changes to it. Raises BadFile if a field is missing."""
    path = folder / "defaults.toml"
    tables = read_toml(path)
    methods = checked_groups(tables.pop("methods", {}), f"{path} [methods]")
    values = check_values(tables, str(path))
    if missing := [name for name in FIELDS if name not in values]:
        raise BadFile(f"{path}: missing {', '.join(missing)}")
    return Recipe(**values), methods


OWN: dict[str, dict[str, Any]] = {}  # tables of the user's own tasks, by task


def add_own_recipe(task: str, recipe: dict[str, Any], where: str) -> None:
    """Keep the differences of a user's own task: hyperparameters, and tables methods.NAME and models.NAME of them.

    Raises BadFile for a wrong key or type.
    """
    kinds = [kind for kind in ("methods", "models") if kind in recipe]
    groups: dict[str, Any] = {kind: checked_groups(recipe[kind], f"{where}.{kind}") for kind in kinds}
    own = {key: value for key, value in recipe.items() if key not in groups}
    OWN[task] = {"task": check_values(own, where), **groups}


@cache
def read_task_file(path: Path) -> dict[str, Any]:
    """A task's differences, with every table checked. Raises BadFile."""
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
        tables[name] = {**check_values(own, where), "methods": checked_groups(groups, f"{where}.methods")}
    return tables


def checked_groups(groups: Any, where: str) -> dict[str, dict[str, Any]]:
    """The tables of models or methods by name, each checked. Raises BadFile for anything that is not a table."""
    checked_table(groups, where)
    return {
        name: check_values(checked_table(group, f"{where}.{name}"), f"{where}.{name}") for name, group in groups.items()
    }


def checked_table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadFile(f"{where}: expected a table, saw {value!r}")
    return value


def variants_of(task: str, folder: Path = RECIPES) -> list[str]:
    """Names of the task's variants. Raises BadFile for a wrong field in its file."""
    path = folder / f"{task}.toml"
    return list(read_task_file(path).get("variants", {})) if path.exists() else []
