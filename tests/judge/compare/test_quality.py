"""Quality over seeds: equal losses need no statistics, parted ones a spread, suspects fresh seeds."""

from dataclasses import replace

import pytest
from compared_runs import POS, RUNS, committed, findings, seeds_of, side_of

from bench.core.files import BadFile
from bench.judge.compare import seeds
from bench.judge.compare.finding import BETTER, CHANGED, INCONCLUSIVE, QUALITY, SAME, WORSE
from bench.judge.compare.fresh import NotFresh
from bench.judge.compare.margins import Noise, read_gate
from bench.judge.compare.quality import (
    LEAST_FRESH,
    MOST_FRESH,
    Loss,
    first_stage,
    fresh_seeds,
    needed_seeds,
    pool_variances,
    second_stage,
)
from bench.judge.compare.runs import compare_runs
from bench.tasks import TASKS

RECORD = committed()[POS]
QUIET = (0.900, 0.901, 0.899)  # F1 of three seeds; the margin is 0.02
LOUD = (0.90, 0.94, 0.86)


@pytest.fixture(autouse=True)
def without_stored_seeds(monkeypatch):
    """The spread of these cases is that of their own seeds."""
    monkeypatch.setattr(seeds, "stored_seeds", lambda key: {})


def judged(before, after, fresh=None):
    """The finding on quality of runs with these values of F1."""
    sides = [side_of(seeds_of(RECORD, values, "f1"), name) for name, values in (("a", before), ("b", after))]
    if fresh:
        more = [
            [replace(record, case=record.case.replace("-s", "-s1")) for record in seeds_of(RECORD, values, "f1")]
            for values in fresh
        ]
        old, new = side_of(more[0]), side_of(more[1], folder=RUNS / "virtual-tokens")
        found = compare_runs(*sides, fresh=(old, new)).findings
    else:
        found = compare_runs(*sides).findings
    (one,) = [one for one in found if one.kind == QUALITY]
    return one


def moved(values, by):
    return [value + by for value in values]


def test_seeds_that_part_and_stay_within_the_margin_are_the_same():
    assert judged(QUIET, moved(QUIET, -0.001)).state == SAME


def test_a_loss_below_the_margin_is_suspected_and_says_how_to_decide():
    found = judged(QUIET, moved(QUIET, -0.015))
    assert found.state == INCONCLUSIVE
    assert found.case == "pos-minilm_l6-lora-cpu"
    assert "worse by 0.0150 over 3 seeds" in found.says
    assert "--tasks pos --models minilm_l6 --methods lora --devices cpu --seeds 3,4,5,6 " in found.says
    assert "--fresh" in found.says


def test_a_spread_that_hides_a_loss_of_the_margin_is_inconclusive_with_the_smallest_loss_that_could_be_seen():
    found = judged(LOUD, moved(LOUD, -0.001))
    assert found.state == INCONCLUSIVE
    assert "the smallest loss that could be seen is 0.0" in found.says
    assert "fresh seeds a side would be needed to see a loss of the margin" in found.says
    assert "pytest" not in found.says


def test_a_gain_is_better():
    assert judged(QUIET, moved(QUIET, 0.02)).state == BETTER


def test_fresh_seeds_decide_that_it_is_worse():
    found = judged(QUIET, moved(QUIET, -0.015), fresh=(QUIET, moved(QUIET, -0.015)))
    assert found.state == WORSE
    assert found.says.startswith("by fresh seeds worse by 0.0150 over 3 seeds")


def test_fresh_seeds_decide_that_it_was_chance():
    assert judged(QUIET, moved(QUIET, -0.015), fresh=(QUIET, QUIET)).state == SAME


def fresh_of(values, **changes):
    records = [replace(one, case=one.case.replace("-s", "-s1"), **changes) for one in seeds_of(RECORD, values, "f1")]
    return side_of(records, "fresh", RUNS / "virtual-tokens")


OTHER_LIBRARIES = {**RECORD.environment, "libraries": {**RECORD.environment["libraries"], "transformers": "0.1"}}
NOT_FRESH = {
    "seeds of before": (
        side_of(seeds_of(RECORD, QUIET, "f1"), "again", RUNS / "virtual-tokens"),
        "was compared before",
    ),
    "another recipe": (fresh_of(QUIET, recipe_digest="other"), "recipe differs"),
    "other libraries": (fresh_of(QUIET, environment=OTHER_LIBRARIES), "libraries differ (transformers"),
    "the same run twice": (side_of(fresh_of(QUIET).records.values(), "one"), "--fresh names one twice"),
}


@pytest.mark.parametrize("what", NOT_FRESH)
def test_runs_that_are_not_fresh_seeds_of_both_sides_decide_nothing(what):
    given, says = NOT_FRESH[what]
    sides = [
        side_of(seeds_of(RECORD, values, "f1"), name) for name, values in (("a", QUIET), ("b", moved(QUIET, -0.015)))
    ]
    with pytest.raises(NotFresh) as caught:
        compare_runs(*sides, fresh=(side_of(fresh_of(QUIET).records.values(), "one"), given))
    assert says in str(caught.value)


def test_runs_of_fresh_seeds_that_are_swapped_decide_nothing():
    after = [replace(one, environment=OTHER_LIBRARIES) for one in seeds_of(RECORD, moved(QUIET, -0.015), "f1")]
    sides = side_of(seeds_of(RECORD, QUIET, "f1"), "a"), side_of(after, "b")
    old, new = side_of(fresh_of(QUIET).records.values(), "old"), fresh_of(QUIET, environment=OTHER_LIBRARIES)
    assert [one.state for one in compare_runs(*sides, fresh=(old, new)).findings if one.kind == QUALITY] == [SAME]
    with pytest.raises(NotFresh, match="--fresh fresh was not run as a"):
        compare_runs(*sides, fresh=(new, old))


def test_fresh_seeds_are_run_by_the_engine_of_the_case_and_are_seeds_that_neither_run_has():
    recipe = {**RECORD.recipe, "engine": "trainer"}
    before, after = (
        [replace(one, recipe=recipe) for one in seeds_of(RECORD, values, "f1")]
        for values in (QUIET, moved(QUIET, -0.015))
    )
    found = compare_runs(
        side_of([*before, replace(before[0], case=POS.replace("-s0", "-s7"))]), side_of(after)
    ).findings
    (options,) = [one.fresh for one in found if one.kind == QUALITY]
    assert options[options.index("--engine") + 1] == "trainer"
    assert options[options.index("--seeds") + 1].startswith("8,9")


def test_equal_losses_and_another_quality_are_judged_without_noise():
    """Training was the same to the bit, so nothing of chance is in it."""
    after = replace(RECORD, quality={**RECORD.quality, "f1": RECORD.quality["f1"] - 0.006})
    (found,) = [one for one in findings([RECORD], [after]) if one.kind == QUALITY]
    assert (found.state, found.suspect) == (WORSE, "what follows training: evaluation, saving or merging")


def test_the_worst_seed_decides_where_no_loss_parted_and_not_the_largest_move():
    """One seed lost 0.4 margins and another gained 0.6."""
    before = seeds_of(RECORD, (0.9, 0.9), "f1")
    after = [
        replace(record, quality={**record.quality, "f1": 0.9 + by})
        for record, by in zip(before, (-0.008, 0.012), strict=True)
    ]
    (found,) = [one for one in findings(before, after) if one.kind == QUALITY]
    assert found.state == WORSE


def test_a_gain_of_one_seed_beside_a_small_loss_of_another_is_no_gain():
    before = seeds_of(RECORD, (0.9, 0.9), "f1")
    after = [
        replace(record, quality={**record.quality, "f1": 0.9 + by})
        for record, by in zip(before, (-0.001, 0.012), strict=True)
    ]
    (found,) = [one for one in findings(before, after) if one.kind == QUALITY]
    assert found.state == CHANGED


def test_a_seed_whose_losses_are_equal_does_not_hide_those_that_parted():
    before = seeds_of(RECORD, (0.9, *QUIET), "f1")
    same, *parted = before
    after = [
        replace(same, quality={**same.quality, "f1": 0.901}),
        *(replace(one, quality={**one.quality, "f1": one.quality["f1"] - 0.018}, losses=moved(one.losses, 0.1))
          for one in parted),
    ]  # fmt: skip
    (found,) = [one for one in findings(before, after) if one.kind == QUALITY]
    assert found.state == INCONCLUSIVE
    assert "over 3 seeds" in found.says


def test_an_equal_seed_whose_quality_fell_is_worse_and_says_of_how_many_seeds():
    before = seeds_of(RECORD, (0.9, *QUIET), "f1")
    same, *parted = before
    after = [
        replace(same, quality={**same.quality, "f1": 0.89}),
        *(replace(one, losses=moved(one.losses, 0.1)) for one in parted),
    ]
    (found,) = [one for one in findings(before, after) if one.kind == QUALITY]
    assert found.state == WORSE
    assert found.says.startswith("the losses of all steps of 1 of 4 seeds are equal")


def test_parted_losses_with_the_same_answers_are_the_same_quality():
    after = replace(RECORD, losses=moved(RECORD.losses, 1e-7))
    assert [one.kind for one in findings([RECORD], [after])] == ["trace"]


def test_quality_with_random_weights_is_not_judged():
    before, after = (
        side_of([replace(RECORD, quality_judged=False, losses=[loss], quality={"f1": f1})])
        for loss, f1 in ((1.0, 0.5), (2.0, 0.1))
    )
    (found,) = [one for one in compare_runs(before, after).findings if one.kind == QUALITY]
    assert (found.state, found.says) == ("changed", "random weights: quality is not judged")


def test_stored_seeds_of_the_same_recipe_tell_the_spread(monkeypatch):
    group = seeds.Group(POS, [(side_of([RECORD]).stored(POS),) * 2])
    alone = seeds.spreads(group, read_gate())
    monkeypatch.undo()
    stored = seeds.spreads(group, read_gate())
    assert len(stored) > len(alone)
    assert (RUNS / "seeds-smoke").resolve() in seeds.stored_seeds(
        ("pos-minilm_l6-lora-cpu-sample", RECORD.recipe_digest)
    )


def test_a_variance_is_shrunk_towards_the_prior_by_its_degrees():
    """(1 * 4 + 2 * 1) / (1 + 2), each group around its own mean."""
    assert pool_variances([[0.0, 1.0, -1.0], [5.0]], Noise(4.0, 1.0)) == Noise(2.0, 3.0)


def test_a_loss_far_beyond_the_margin_in_all_seeds_is_worse_without_fresh_ones():
    """F1 0.882 → 0.582 in all of three seeds."""
    found = judged(QUIET, moved(QUIET, -0.3))
    assert (found.state, found.fresh) == (WORSE, ())
    assert found.says.startswith("worse by 0.3000 over 3 seeds")


def test_one_seed_is_never_sure():
    (found,) = [
        one for one in findings(seeds_of(RECORD, (0.9,), "f1"), seeds_of(RECORD, (0.6,), "f1")) if one.kind == QUALITY
    ]
    assert found.state == INCONCLUSIVE


def test_a_sure_loss_exceeds_the_margin_at_the_level_of_all_cases():
    """p is 2e-5: below a thousandth of one case, and of a hundred above it."""
    loss = Loss(1.5, 3, Noise(0.2, 100_000.0))
    assert loss.p == pytest.approx(2e-5, rel=0.2)
    assert first_stage(loss) == WORSE
    assert first_stage(loss, cases=100) == INCONCLUSIVE
    assert first_stage(Loss(0.9, 3, Noise(1e-6, 10.0))) == INCONCLUSIVE  # below the margin


def test_the_same_bits_in_several_runs_tell_the_noise_once():
    first, second, third = seeds_of(RECORD, (0.90, 0.91, 0.92), "f1")
    again = replace(second, quality={**second.quality, "f1": 0.9100001})
    assert seeds.without_repeats([[first, second], [first, again, third], [third]], "f1") == [
        [first, second], [third], [],
    ]  # fmt: skip


def test_a_suspect_is_worse_than_a_quarter_margin_or_may_be_by_a_whole_one():
    sure = Noise(1e-6, 10.0)
    assert first_stage(Loss(0.2, 3, sure)) == SAME  # significant, and less than a quarter
    assert first_stage(Loss(0.3, 3, sure)) == INCONCLUSIVE
    assert first_stage(Loss(0.0, 3, Noise(1.0, 10.0))) == INCONCLUSIVE


def test_more_suspects_need_a_smaller_p_each():
    """One-sided p = 0.004 of each: below 1 % alone, above it among three."""
    loss = Loss(2.65, 3, Noise(1.5, 100_000.0))
    assert loss.p == pytest.approx(0.004, abs=5e-4)
    assert second_stage([loss]) == [WORSE]
    assert WORSE not in second_stage([loss] * 3)


def test_fresh_seeds_are_as_many_as_see_a_margin():
    """2 σ² (z(0.9925) + z(0.9))², with 3.714 for the sum."""
    assert needed_seeds(Noise(0.25, 9.0)) == 7
    assert needed_seeds(Noise(0.0001, 9.0)) == LEAST_FRESH


@pytest.mark.parametrize(("mean", "count"), [(0.0, 0), (100.0, MOST_FRESH)])
def test_a_spread_too_large_for_fresh_seeds_is_run_only_where_something_points_to_a_loss(mean, count):
    assert fresh_seeds(Loss(mean, 3, Noise(100.0, 9.0))) == count


@pytest.mark.parametrize(("task", "before", "after", "lost"), [("pos", 0.9, 0.88, 1.0), ("support", 2.0, 2.04, 2.0)])
def test_a_margin_is_absolute_for_f1_and_relative_for_a_loss(task, before, after, lost):
    assert read_gate().margins_lost(task, before, after) == pytest.approx(lost)


def test_every_task_has_a_margin():
    assert all(read_gate().margin(task) > 0 for task in TASKS)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[margins]\n", "must have exactly the tables"),
        ("[margins]\nloss = 0.01\n[noise]\ndeviation = 0.1\ndegrees = 1.0\n", "must have fraction"),
        (
            "[margins]\nloss = 0.01\nfraction = 0\n[noise]\ndeviation = 0.1\ndegrees = 1.0\n",
            "fraction = 0 must be a number",
        ),
        (
            "[margins]\nloss = 0.01\nfraction = 0.1\n[noise]\ndeviation = 0.1\n",
            "exactly the keys deviation and degrees",
        ),
    ],
)
def test_a_wrong_file_of_margins_is_one_sentence(text, says, tmp_path):
    path = tmp_path / "gate.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadFile, match=says):
        read_gate(path)
