"""A case's own batches in their order, traced: what training takes of a card when every batch is another size.

Of batches that are alike the allocator keeps what the next one needs. Of others it keeps much that is of no use to
them, so what is reserved follows from the whole course of a run and not from its largest batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import train
from bench.batches import Extent
from bench.case import Case
from bench.methods import METHODS
from bench.models import MODELS
from bench.predict.terms import Peaks
from bench.predict.ways import quietly
from bench.recipe import Recipe
from bench.setting import read_examples
from bench.sources import folder_at_hand
from bench.tasks import TASKS
from bench.tokenizers import tokenizer_for


@dataclass(frozen=True)
class Course:
    """The extents of the batches of each step that is traced; the data's identity.

    planned: how many steps the run has; heaviest: how many at the end stand there for their heaviest batches.
    """

    case: Case
    steps: list[list[Extent]]
    planned: int
    heaviest: int
    labels: int
    identity: str
    reasons: list[str] = field(default_factory=list)

    @property
    def extents(self) -> list[Extent]:
        return [extent for step in self.steps for extent in step]

    @property
    def words(self) -> str:
        shortest, longest = (pick(self.extents, key=lambda one: one.positions) for pick in (min, max))
        fewest, most = (pick(extent.scored for extent in self.extents) for pick in (min, max))
        return (
            f"{self.case.id}: batches of {shortest.rows} × {shortest.length} to {longest.rows} × "
            f"{longest.length} tokens with {fewest:,} to {most:,} labels, of {self.which}"
        )

    @property
    def which(self) -> str:
        """Which steps these are, in words."""
        if not self.heaviest:
            return f"all steps ({self.planned:,})"
        first = len(self.steps) - self.heaviest
        return f"the first {first:,} steps and those of the heaviest batches ({self.planned:,} steps in all)"


def course_of(case: Case, recipe: Recipe, mirror: Path | None, most_steps: int = 0) -> Course:
    """The run's steps, of its own data; of more than most_steps (0: all) the first, and then the heaviest batches'.

    Raises SourceError where the data cannot be had.
    """
    entry = MODELS[case.model]
    tokenizer, reasons = tokenizer_for(entry, folder_at_hand(entry, mirror), mirror)
    rows, prepared, batching = read_examples(TASKS[case.task], entry, recipe, tokenizer, mirror)
    planned = train.plan_steps(batching, prepared.train, case.seed)
    steps = [[batching.extent(items) for items in step.micro_batches] for step in planned]
    first = steps[: most_steps or len(steps)]
    last = steps_of(train.heaviest(batching, planned), steps) if len(first) < len(steps) else []
    reasons = [f"data: {rows.reason}", *reasons, *prepared.reasons]
    return Course(case, first + last, len(steps), len(last), len(prepared.labels), prepared.identity(), reasons)


def steps_of(extents: Sequence[Extent], steps: Sequence[list[Extent]]) -> list[list[Extent]]:
    """For each extent the step where it comes latest, so that it meets the gradients of those before it."""
    found = [
        max((step for step in steps if extent in step), key=lambda step: last_place(extent, step)) for extent in extents
    ]
    return [step for number, step in enumerate(found) if step not in found[:number]]


def last_place(extent: Extent, step: list[Extent]) -> int:
    return max(number for number, other in enumerate(step) if other == extent)


def trace_course(course: Course, recipe: Recipe, told: Callable[[int], None]) -> Peaks:
    """The trace of the course by the case's model and method; told(step) hears of each from 0. Raises Unsupported."""
    with quietly():
        from bench.predict.trace import trace_batches

        entry, method = MODELS[course.case.model], METHODS[course.case.method]
        return trace_batches(entry, method, recipe, course.labels, course.steps, told)
