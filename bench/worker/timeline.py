"""A case's wall time by stage: where the seconds of a record went, to the last one.

Stages are exclusive: one inside another interrupts it, so the stages of a case and `other` (what no stage covers)
add up to the time since the timeline was made.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

OTHER = "other"  # between stages
TRAIN = "train"  # optimizer steps alone
FIRST_METHOD = "first_method"  # the same, of a method that is trained before the case's own
EVALUATE_BEFORE, EVALUATE = "evaluate_before", "evaluate"
LEAST_SHARE = 0.005  # that is worth naming
START = "start"  # of the process until its work began, and its end; measured by the parent


class Timeline:
    """`with timeline("load"): ...` adds the seconds spent inside to the stage's."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._open = [OTHER]
        self._since = time.perf_counter()

    @contextlib.contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        self._book()
        self._open.append(stage)
        try:
            yield
        finally:
            self._book()
            self._open.pop()

    def _book(self) -> None:
        """Add the time since the last change of stage to the stage that is open."""
        now = time.perf_counter()
        self._seconds[self._open[-1]] = self._seconds.get(self._open[-1], 0.0) + now - self._since
        self._since = now

    def move(self, source: str, target: str, seconds: float) -> None:
        """Count these seconds of the stage source as target's, where the work itself timed a part of its stage."""
        self._seconds[source] -= seconds
        self._seconds[target] = self._seconds.get(target, 0.0) + seconds

    def split_training(self, stage: str, steps: float, data: float) -> None:
        """Leave the seconds of optimizer steps alone in the stage: making batches and all else have their own names."""
        self.move(stage, "data", data)
        self.move(stage, "prepare_training", self.seconds()[stage] - steps)

    def seconds(self) -> dict[str, float]:
        """Seconds of each stage until now, in the order in which they were entered first."""
        self._book()
        return dict(self._seconds)


def share_of_training(records: Iterable[Any]) -> str:
    """A sentence: how much of the cases' wall time was training and evaluation, and where the rest went.

    "" where no record accounts for its time.
    """
    stages: Counter[str] = Counter()
    total = 0.0
    for record in records:
        if "case_seconds" in record.noisy and EVALUATE_BEFORE in record.noisy.get("seconds", {}):
            stages.update(record.noisy["seconds"])
            total += record.noisy["case_seconds"]
    if not total:
        return ""
    useful = sum(stages.pop(stage, 0.0) for stage in (FIRST_METHOD, TRAIN, EVALUATE_BEFORE, EVALUATE))
    rest = ", ".join(
        f"{name} {seconds / total:.0%}" for name, seconds in stages.most_common() if seconds / total > LEAST_SHARE
    )
    return f"training and evaluation took {useful / total:.0%} of the cases' {total:,.0f} s; the rest: {rest}"
