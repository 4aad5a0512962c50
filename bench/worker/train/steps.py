"""The optimizer steps of a run, fixed before it starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.core.extent import Extent
from bench.tasks import Example
from bench.worker.train.batches import Batching


@dataclass(frozen=True)
class Step:
    """One optimizer step: its micro-batches as lists of examples (or packed rows), and its epoch from 1."""

    epoch: int
    micro_batches: list[list[Any]]


def plan_steps(batching: Batching, examples: Sequence[Example], seed: int) -> list[Step]:
    """All optimizer steps of the run in order; max_steps cuts them, or repeats epochs until it is reached."""
    recipe = batching.recipe
    steps: list[Step] = []
    epoch = 0
    while epoch < recipe.epochs or len(steps) < recipe.max_steps:
        batches = batching.epoch(examples, seed, epoch)
        each = recipe.gradient_accumulation_steps
        steps += [Step(epoch + 1, batches[start : start + each]) for start in range(0, len(batches), each)]
        epoch += 1
        if recipe.max_steps and len(steps) >= recipe.max_steps:
            return steps[: recipe.max_steps]
    return steps


def heaviest(batching: Batching, steps: Sequence[Step]) -> list[Extent]:
    """The micro-batches that can hold most: of most positions and of most labels, with and without a mask."""
    extents = {batching.extent(items) for step in steps for items in step.micro_batches}
    found = []
    for masked in (True, False):
        own = [extent for extent in extents if extent.whole is not masked]
        if own:
            found.append(max(own, key=lambda extent: (extent.positions, extent.length, extent.scored)))
            found.append(max(own, key=lambda extent: (extent.scored, extent.positions, extent.length)))
    return list(dict.fromkeys(found))
