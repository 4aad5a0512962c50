"""The table of `python -m bench fit`: what each model and method needs, and how much of it fits on each card."""

import json
from collections.abc import Sequence

from bench.core.recipe import MULTIPLE
from bench.machine.cards import GIB
from bench.predict.card.overview import Fitting
from bench.report.tables import Table

NAMES = 4  # of the headings; numbers follow
HEADS = ("model", "method", "batch", "card", "needs GiB", "fits", "longest row", "most rows", "least GiB")
LEGEND = (
    "needs: what a card must have, CUDA's own included; longest row: tokens, with as many rows;",
    f"most rows: largest batch of that length; least: what 1 row of {MULTIPLE} tokens needs",
)


def overview_table(found: Sequence[Fitting]) -> Table:
    return [HEADS, *map(cells, found)]


def cells(one: Fitting) -> list[str]:
    recipe = one.question.recipe
    batch = f"{recipe.batch_size} × {recipe.max_length}"
    fits = "?" if one.fits is None else "yes" if one.fits else "no"
    largest = (count(one.largest_length), count(one.largest_batch))
    return [
        one.question.entry.name, one.question.method.name, batch, one.card.name,
        gib(one.needed_bytes), fits, *largest, gib(one.least_bytes),
    ]  # fmt: skip


def gib(size: int | None) -> str:
    return "–" if size is None else f"{size / GIB:.2f}"


def count(size: int | None) -> str:
    return "–" if size is None else f"{size:,}"


def ways(found: Sequence[Fitting]) -> list[str]:
    """The precision and checkpointing that all share, or those of each pair of model and method."""
    named: dict[str, dict[str, None]] = {}
    for one in found:
        recipe = one.question.recipe
        way = f"{recipe.precision}, gradient checkpointing {'on' if recipe.gradient_checkpointing else 'off'}"
        named.setdefault(way, {})[f"{one.question.entry.name} × {one.question.method.name}"] = None
    return list(named) if len(named) == 1 else [f"{way}: {', '.join(pairs)}" for way, pairs in named.items()]


def notes(found: Sequence[Fitting]) -> list[str]:
    """Why a figure is missing, and what a card computes differently; each note once."""
    said = []
    for one in found:
        hint = one.card.cannot(one.question.recipe.precision)
        if one.why:
            said.append(one.why)
        elif one.largest_length is None:
            said.append(
                f"{one.question.method.name} has no closed form and was traced at this size; "
                "predict --largest searches its largest"
            )
        if hint:
            said.append(f"{one.card.name} has {hint}")
    return list(dict.fromkeys(said))


def as_json(found: Sequence[Fitting], said: Sequence[str]) -> str:
    return json.dumps({"fits": [fields(one) for one in found], "notes": list(said)}, indent=1)


def fields(one: Fitting) -> dict[str, object]:
    recipe = one.question.recipe
    return {
        "model": one.question.entry.name,
        "method": one.question.method.name,
        "batch": recipe.batch_size,
        "length": recipe.max_length,
        "precision": recipe.precision,
        "gradient_checkpointing": recipe.gradient_checkpointing,
        "card": one.card.name,
        "card_bytes": one.card.total_bytes,
        "needed_bytes": one.needed_bytes,
        "fits": one.fits,
        "largest_length": one.largest_length,
        "largest_batch": one.largest_batch,
        "least_bytes": one.least_bytes,
        "why": one.why,
    }
