"""Fetch weights before they are needed: `python -m bench fetch [MODEL…]`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.models import MODELS
from bench.sources.hub import hub_answers
from bench.sources.weights import Weights, find_weights


def prepare(payload: dict[str, Any], say: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Fetch payload["models"] once for a whole session, in a worker: origins by name, and why the Hub is away."""
    mirror = Path(payload["mirror"]) if payload["mirror"] else None
    say({"line": f"looking for the weights of {', '.join(payload['models'])}"})
    found = fetch(payload["models"], mirror) if payload["models"] else []
    answer = hub_answers()
    return {"origins": {name: weights.origin for name, weights in found}, "away": "" if answer.ok else answer.reason}


def fetch(names: list[str], mirror: Path | None) -> list[tuple[str, Weights]]:
    """Each named model's weights, the embedded models' if none is named; origin "synthetic" says that none were had.

    Raises UnknownName before anything is fetched.
    """
    entries = [MODELS[name] for name in names] or [entry for entry in MODELS if entry.embedded]
    return [(entry.name, find_weights(entry, mirror)) for entry in entries]
