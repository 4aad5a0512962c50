"""A trace of a case's own batches in their order: the memory of training when every batch has a different size.

When batches are alike, the allocator keeps the blocks that the next one needs. When they differ, it keeps many blocks
that later batches cannot use, so reserved memory depends on the whole course of a run and not on its largest batch.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.core.case import Case
from bench.core.extent import Extent
from bench.core.recipe import Recipe
from bench.methods import METHODS
from bench.models import MODELS
from bench.predict.course import Course
from bench.predict.terms import Peaks
from bench.predict.trace.quiet import quietly
from bench.sources import folder_at_hand
from bench.sources.tokenizer import tokenizer_for
from bench.tasks import TASKS
from bench.worker.setup import read_examples
from bench.worker.train.steps import heaviest, plan_steps


def course_of(case: Case, recipe: Recipe, mirror: Path | None, most_steps: int = 0) -> Course:
    """The steps of the run on its own data: the first most_steps (0: all), then, if cut, those of the heaviest batches.

    Raises SourceError if the data is not available.
    """
    entry = MODELS[case.model]
    tokenizer, reasons = tokenizer_for(entry, folder_at_hand(entry, mirror), mirror)
    rows, prepared, batching = read_examples(TASKS[case.task], entry, recipe, tokenizer, mirror)
    planned = plan_steps(batching, prepared.train, case.seed)
    steps = [[batching.extent(items) for items in step.micro_batches] for step in planned]
    first = steps[: most_steps or len(steps)]
    last = steps_of(heaviest(batching, planned), steps) if len(first) < len(steps) else []
    reasons = [f"data: {rows.reason}", *reasons, *prepared.reasons]
    return Course(case, first + last, len(steps), len(last), len(prepared.labels), prepared.identity(), reasons)


def steps_of(extents: Sequence[Extent], steps: Sequence[list[Extent]]) -> list[list[Extent]]:
    """For each extent, the step in which it comes latest, so that gradients of earlier batches exist by then."""
    found = [
        max((step for step in steps if extent in step), key=lambda step: last_place(extent, step)) for extent in extents
    ]
    return [step for number, step in enumerate(found) if step not in found[:number]]


def last_place(extent: Extent, step: list[Extent]) -> int:
    return max(number for number, other in enumerate(step) if other == extent)


def trace_course(course: Course, recipe: Recipe, told: Callable[[int], None]) -> Peaks:
    """Trace the course with the case's model and method; calls told(step) for each step, from 0. Raises Unsupported."""
    with quietly():
        from bench.predict.trace.steps import trace_batches

        entry, method = MODELS[course.case.model], METHODS[course.case.method]
        return trace_batches(entry, method, recipe, course.labels, course.steps, told)
