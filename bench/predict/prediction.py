"""The prediction for one question, by closed form and by trace, as plain data."""

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from bench.machine.cards import AMPERE, CARDS, blas_bytes
from bench.predict.card.fit import fit, least
from bench.predict.card.replay import reserve_without_limit
from bench.predict.card.search import Largest
from bench.predict.question import Question
from bench.predict.terms import Peaks

if TYPE_CHECKING:
    from bench.predict.course import Course


@dataclass(frozen=True)
class Prediction:
    """Both predictions for one question; at least one is present.

    reasons: why one is missing, what may differ, what was searched.
    course: the traced batches, if they are a case's own and not full ones.
    searched: the result of the search, if the question is the largest that fits.
    """

    question: Question
    closed: Peaks | None
    traced: Peaks | None
    reasons: list[str] = field(default_factory=list)
    course: "Course | None" = None
    searched: Largest | None = None

    @property
    def best(self) -> Peaks:
        """The trace, or the closed form if no trace was requested."""
        return self.traced or self.closed or Peaks({})

    @property
    def peak_bytes(self) -> int:
        return self.best.peak_bytes

    def as_json(self) -> str:
        recipe = self.question.recipe
        said = {
            "model": self.question.entry.name,
            "method": self.question.method.name,
            "batch": recipe.batch_size,
            "length": recipe.max_length,
            "rank": recipe.rank if self.question.has_rank else None,
            "precision": recipe.precision,
            "gradient_checkpointing": recipe.gradient_checkpointing,
            "recipe_digest": recipe.digest(),
            "peak_bytes": self.peak_bytes,
            "closed_form": self.closed.phases if self.closed else None,
            "trace": self.traced.phases if self.traced else None,
            "allocator": of_allocator(self),
            "fits": {card.name: fit(self.best, card).fits for card in CARDS},
            "reasons": self.reasons,
        }
        if self.searched:
            said["searched"] = self.searched.as_json()
        if self.course:
            said["case"] = self.course.case.id
            said["steps"] = [[[one.rows, one.length, one.scored] for one in step] for step in self.course.steps]
        return json.dumps(said, indent=1)


def of_allocator(prediction: Prediction) -> dict[str, int]:
    """The replay of the storages in torch's allocator, with an A100's workspaces; {} if no storages were traced."""
    log, workspaces = prediction.best.log, blas_bytes(AMPERE)
    if not log.entries:
        return {}
    return {**asdict(reserve_without_limit(log, workspaces)), "least_bytes": least(log, workspaces)}
