"""The batches of a case in their order, as extents: plain data that a trace follows step by step."""

from dataclasses import dataclass, field

from bench.core.case import Case
from bench.core.extent import Extent


@dataclass(frozen=True)
class Course:
    """The extents of the batches in each traced step, and the identity of the data.

    planned: how many steps the run has; heaviest: how many steps at the end were added for their heaviest batches.
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
