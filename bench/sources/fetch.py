"""Fetch weights before they are needed: `python -m bench fetch [MODEL…]`."""

from pathlib import Path

from bench.models import MODELS
from bench.sources.weights import Weights, find_weights


def fetch(names: list[str], mirror: Path | None) -> list[tuple[str, Weights]]:
    """Each named model's weights, the embedded models' if none is named; origin "synthetic" says that none were had.

    Raises UnknownName before anything is fetched.
    """
    entries = [MODELS[name] for name in names] or [entry for entry in MODELS if entry.embedded]
    return [(entry.name, find_weights(entry, mirror)) for entry in entries]
