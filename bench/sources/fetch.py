"""Weights fetched before they are needed, by `python -m bench fetch [MODEL…]` and once for a session of pytest."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.models import MODELS
from bench.sources.data import DataSpec, load_rows
from bench.sources.errors import SourceError
from bench.sources.hub import hub_answers
from bench.sources.weights import Weights, find_weights


def prepare(payload: dict[str, Any], say: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """What look_up finds for a whole session, in a worker, and under "away" why the Hub is away."""
    if not payload["synthetic"]:
        say({"line": f"looking for the weights of {', '.join(payload['models'])}"})
    found = look_up(payload)
    answer = hub_answers()
    return {**found, "away": "" if answer.ok else answer.reason}


def look_up(payload: dict[str, Any]) -> dict[str, Any]:
    """The weights of payload's models and the raw rows of its data, as they are found now.

    payload: models (names), mirror (path or empty), synthetic, data (task -> a DataSpec's fields and "size").
    Gives weights (model -> what a record keeps of them, and the reason) and rows (task -> identity, "" for rows that
    cannot be had).
    """
    mirror = Path(payload["mirror"]) if payload["mirror"] else None
    return {
        "weights": {name: weights_found(name, mirror, payload["synthetic"]) for name in payload["models"]},
        "rows": {task: rows_identity(dict(about), mirror) for task, about in payload["data"].items()},
    }


def weights_found(name: str, mirror: Path | None, synthetic: bool) -> dict[str, Any]:
    """What a record keeps of the weights, and the reason; without an identity where they cannot be used."""
    try:
        found = find_weights(MODELS[name], mirror, synthetic)
    except SourceError as error:  # the case itself will fail by it
        return {"origin": "", "identity": "", "reason": str(error)}
    return {**found.identities(), "reason": found.reason}


def rows_identity(about: dict[str, Any], mirror: Path | None) -> str:
    size = about.pop("size")
    try:
        return load_rows(DataSpec(**about), size, mirror).identity
    except SourceError:  # the case itself will say it
        return ""


def fetch(names: list[str], mirror: Path | None) -> list[tuple[str, Weights]]:
    """Each named model's weights, the embedded models' if none is named; origin "synthetic" says that none were had.

    Raises UnknownName before anything is fetched, and SourceError for a broken folder of the mirror.
    """
    entries = [MODELS[name] for name in names] or [entry for entry in MODELS if entry.embedded]
    return [(entry.name, find_weights(entry, mirror)) for entry in entries]
