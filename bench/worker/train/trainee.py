"""The trainee: a model on its device with its method, recipe and batching."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.core.recipe import Recipe
from bench.methods import Method
from bench.worker.train.batches import Batching

Say = Callable[[dict[str, Any]], None]


@dataclass
class Trainee:
    """All that an engine needs: the model on its device, its method, how batches are made, and dropout's seed."""

    model: Any
    method: Method
    recipe: Recipe
    batching: Batching
    device: str
    seed: int = 0
