"""The recipe of a case: the files' tables for its task, size of data, model and method, on its device.

`bench/core/recipe.py` defines a recipe. This module also needs models and methods, because no row may have more tokens
than they have positions for.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.core.case import Case
from bench.core.files import BadFile
from bench.core.paths import RECIPES
from bench.core.recipe import NATIVE, PORTABLE, SIZES, Recipe
from bench.core.registry import Registry, is_one_slip
from bench.machine.devices import computes_bfloat16
from bench.methods import METHODS
from bench.models import MODELS
from bench.recipes.files import OWN, check_values, read_defaults, read_task_file, variants_of


def read_without_slips(path: Path) -> dict[str, Any]:
    tables = read_task_file(path)
    refuse_slips(tables, path)
    return tables


def refuse_slips(tables: dict[str, Any], where: Path) -> None:
    """Raises BadFile for a table whose name is one typing error away from a model's or method's.

    Other unknown names may be a user's own, whose entries are not registered in every session.
    """
    registries: dict[str, Registry] = {"models": MODELS, "methods": METHODS}
    groups = [(kind, kind, tables.get(kind, {})) for kind in registries]
    groups += [("methods", f"{size}.methods", tables.get(size, {}).get("methods", {})) for size in SIZES]
    for kind, table, named in groups:
        registry = registries[kind]
        for name in named:
            if name in registry:
                continue
            if near := [other for other in registry.names() if is_one_slip(name, other)]:
                raise BadFile(
                    f"{where} [{table}.{name}]: no {registry.kind} named {name!r}; did you mean {', '.join(near)}? "
                    "One of your own is known by --entries"
                )


def task_tables(task: str, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The task's tables and, for a variant, its own differences: support_1x8 is the variant 1x8 of support."""
    if task in OWN:
        return OWN[task], {}
    path = folder / f"{task}.toml"
    if path.exists():
        return read_without_slips(path), {}
    parent, _, name = task.rpartition("_")
    if parent and name in variants_of(parent, folder):
        tables = read_without_slips(folder / f"{parent}.toml")
        return tables, tables["variants"][name]
    return {}, {}


def number_format(precision: str, device: str, bfloat16: bool) -> str:
    """The number format that a file's word means; bfloat16 says whether the device has units for it."""
    if precision == NATIVE:
        return "bfloat16" if bfloat16 else "float32"
    if precision == PORTABLE:
        return "float32" if device == "cpu" else "bfloat16"
    return precision


def recipe_for(
    case: Case, data: str = "sample", folder: Path = RECIPES, bfloat16: bool | None = None, **overrides: Any
) -> Recipe:
    """The case's recipe on this size of data, with the command line's overrides; positions limit the rows' length.

    bfloat16: whether the case's device has units for it; None: whether this machine's has. Raises BadFile for a wrong
    field in a file, UnknownName for an unknown model or method.
    """
    tables, variant = task_tables(case.task, folder)
    sized = tables.get(data, {})
    defaults, methods = read_defaults(folder)
    refuse_slips({"methods": methods}, folder / "defaults.toml")
    layers = [
        methods.get(case.method, {}),
        tables.get("task", {}),
        {key: value for key, value in sized.items() if key != "methods"},
        tables.get("models", {}).get(case.model, {}),
        tables.get("methods", {}).get(case.method, {}),
        sized.get("methods", {}).get(case.method, {}),
        variant,
        check_values(overrides, "command line"),
    ]
    changes: dict[str, Any] = {"data": data}
    for layer in layers:
        changes |= {key: value for key, value in layer.items() if key != "methods"}
    recipe = replace(defaults, **changes)
    native = computes_bfloat16(case.device) if bfloat16 is None else bfloat16
    longest = METHODS[case.method].longest_row(MODELS[case.model], recipe)
    return replace(
        recipe,
        precision=number_format(recipe.precision, case.device, native),
        max_length=min(recipe.max_length, longest),
    )
