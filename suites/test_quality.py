"""Does tuning work: every case's quality lies where measured seeds put it, before and after, and beats the untrained.

A figure outside its band is unexpected, better or worse.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from bench.core.case import Case
from bench.judge.thresholds import Band, Thresholds
from bench.plugin.unjudged import Unjudged, without_threshold
from bench.records.basis import group_of
from bench.records.record import Record
from bench.tasks import TASKS

BETTER = "has the base or its training data seen the held-out examples, or does the metric miss mistakes?"
WORSE = "are these the weights, libraries and settings that the threshold was measured with?"


@pytest.fixture
def threshold(
    judged_record: Record,
    thresholds: Thresholds,
    expects_threshold: bool,
    require_judged: Callable[[Unjudged | None], None],
) -> Mapping[str, Any]:
    """The entry that speaks of this record."""
    require_judged(without_threshold(judged_record, thresholds.differences(judged_record), expects_threshold))
    return thresholds.entries[group_of(judged_record)]


def test_quality_is_as_measured(case: Case, judged_record: Record, threshold: Mapping[str, Any]) -> None:
    """After training."""
    assert_expected(case, "after", judged_record.quality, Band(*threshold["quality"]), threshold["seeds"])


def test_quality_before_is_as_measured(case: Case, judged_record: Record, threshold: Mapping[str, Any]) -> None:
    """Before training, of the base with the untrained adapter."""
    assert_expected(case, "before", judged_record.quality_before, Band(*threshold["before"]), threshold["seeds"])


def assert_expected(case: Case, when: str, quality: Mapping[str, float], band: Band, seeds: int) -> None:
    task = TASKS[case.task]
    seen = quality[task.metric]
    better = task.improvement(band.lowest, seen) > 0 and task.improvement(band.highest, seen) > 0
    assert band.holds(seen), (
        f"{task.metric} {when} training is {seen:.4f}, unexpected and {'better' if better else 'worse'} than {band}, "
        f"the band of {seeds} seeds with a margin; {BETTER if better else WORSE}"
    )


def test_beats_untrained(case: Case, judged_record: Record, thresholds: Thresholds) -> None:
    """Training helps; where it was measured, by half of what it gained then."""
    task = TASKS[case.task]
    entry = thresholds.entry_of(judged_record)
    least = entry["gain"] if entry else 0.0
    before, after = judged_record.quality_before[task.metric], judged_record.quality[task.metric]
    gain = task.improvement(before, after)
    assert gain > least, (
        f"{task.metric} went from {before:.4f} to {after:.4f}, a gain of {gain:.4f}, and more than {least:.4f} is "
        f"expected; {WORSE}"
    )
