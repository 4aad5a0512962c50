"""Does tuning work: every case reaches its metric's threshold and beats its own untrained adapter."""

import pytest

from bench.case import Case
from bench.record import Record
from bench.tasks import TASKS
from bench.thresholds import Thresholds


@pytest.fixture
def judged(record: Record, thresholds: Thresholds) -> dict:
    """The threshold that speaks of this record."""
    if not record.quality_judged:
        pytest.skip("random weights: quality is not judged")
    entry = thresholds.entry_of(record)
    if entry is None:
        pytest.skip(thresholds.mismatch(record))
    return dict(entry)


def test_reaches_threshold(case: Case, record: Record, judged: dict) -> None:
    task = TASKS[case.task]
    seen, bound = record.quality[task.metric], judged["quality"]
    assert task.improvement(bound, seen) >= 0, (
        f"{task.metric} is {seen:.4f}, expected {'at least' if task.greater_is_better else 'at most'} {bound:.4f} "
        f"(the worst of {judged['seeds']} seeds and a margin)"
    )


def test_beats_untrained(case: Case, record: Record, thresholds: Thresholds) -> None:
    """Training helps; where it was measured, by half of what it gained then."""
    if not record.quality_judged:
        pytest.skip("random weights: quality is not judged")
    task = TASKS[case.task]
    entry = thresholds.entry_of(record)
    least = entry["gain"] if entry else 0.0
    before, after = record.quality_before[task.metric], record.quality[task.metric]
    gain = task.improvement(before, after)
    assert gain > least, (
        f"{task.metric} went from {before:.4f} to {after:.4f}, a gain of {gain:.4f}, not above {least:.4f}"
    )
