"""One score for the edge: Pareto fronts computed by hand, shares of the best, and nothing better inside the noise."""

import json
from dataclasses import replace

import pytest
from run_files import append_record

from bench.__main__ import main
from bench.judge.score import DIMENSIONS, WEIGHTS, compare, parse_weights
from bench.judge.score.pareto import dominates, fronts, places, ties
from bench.judge.score.standing import scores_of, share_of_best
from bench.judge.statistics import Interval, interval
from bench.records.record import CRASHED, Record

RECORD = Record(
    case="pos-minilm_l6-lora-cpu-s0",
    status="ok",
    recipe={"data": "sample", "engine": "bench"},
    recipe_digest="lora",
    quality={"f1": 0.9},
    quality_judged=True,
    exact={"adapter_bytes": 1_000_000},
    noisy={"peak_bytes": 2_000_000_000, "seconds": {"train": 10.0}},
    weights={"identity": "w"},
    data={"identity": "d", "train_examples": 64, "held_out_examples": 13},
    environment={"processor": "P", "cores": 2, "threads": 2},
)
EVEN = dict.fromkeys(DIMENSIONS, 1.0)


def record(method, seed, memory=2.0, disk=1.0, time=10.0, f1=0.9, right=None, **changes):
    """A record with these figures; memory in GB, disk in MB, right of ten probe items."""
    rows = [] if right is None else [summary("facts", right)]
    figures = {
        "case": f"pos-minilm_l6-{method}-cpu-s{seed}",
        "recipe_digest": method,
        "quality": {"f1": f1},
        "exact": {"adapter_bytes": disk * 1e6},
        "noisy": {"peak_bytes": memory * 1e9, "seconds": {"train": time}},
        "tables": {"probes": rows},
    }
    return replace(RECORD, **{**figures, **changes})


def summary(family, right, items=10):
    counts = {"cured": right, "kept": 0, "broken": 0, "still_wrong": items - right}
    return {"family": family, "language": "all", "group": "all", **counts}


def seeds(method, **figures):
    """Two seeds, the second a thousandth away, so that intervals are narrow: 2 values, t = 12.706."""
    return [
        record(method, 0, **figures),
        record(method, 1, **{name: value * 1.001 for name, value in figures.items() if name != "right"},
               **({"right": figures["right"]} if "right" in figures else {})),
    ]  # fmt: skip


def exact(**values):
    return {name: Interval(value, value, value) for name, value in values.items()}


def ranks_of(records, weights=EVEN):
    (comparison,), refused = compare(records, weights)
    assert refused == []
    return {standing.method: standing.rank for standing in comparison.standings}


def standing_of(records, method, weights=EVEN):
    (comparison,), _ = compare(records, weights)
    return next(standing for standing in comparison.standings if standing.method == method)


COSTS = {"memory": False, "time": False}
POINTS = {
    # by hand: a (1, 5), b (2, 2) and c (5, 1) are free; d (3, 3) falls to b; e (6, 2) to b and c; f (6, 6) to d too
    "a": exact(memory=1, time=5), "b": exact(memory=2, time=2), "c": exact(memory=5, time=1),
    "d": exact(memory=3, time=3), "e": exact(memory=6, time=2), "f": exact(memory=6, time=6),
}  # fmt: skip


def test_fronts_are_those_computed_by_hand():
    found = fronts(list(POINTS), lambda one, other: dominates(POINTS[one], POINTS[other], COSTS))
    assert found == {"a": 1, "b": 1, "c": 1, "d": 2, "e": 2, "f": 3}


def test_front_of_a_wish_for_more_is_the_other_way_round():
    greater = {"memory": False, "quality": True}
    points = {"small": exact(memory=1, quality=0.5), "good": exact(memory=2, quality=0.9),
              "poor": exact(memory=2, quality=0.5)}  # fmt: skip
    found = fronts(list(points), lambda one, other: dominates(points[one], points[other], greater))
    assert found == {"small": 1, "good": 1, "poor": 2}


def test_equal_points_share_a_front():
    assert fronts(["a", "b"], lambda one, other: False) == {"a": 1, "b": 1}


def test_dominance_in_a_circle_shares_a_front():
    """Overlap is no equivalence: a beats b, b beats c, c beats a, each in the one figure that is told apart."""
    circle = {("a", "b"), ("b", "c"), ("c", "a"), ("a", "d")}
    assert fronts(list("abcd"), lambda one, other: (one, other) in circle) == {"a": 1, "b": 1, "c": 1, "d": 1}


def test_interval_is_students():
    """1, 2, 3: mean 2, deviation 1, t(0.975, 2) = 4.3027, so half is 4.3027 / sqrt(3)."""
    found = interval([1.0, 2.0, 3.0])
    assert (found.mean, found.half) == (2.0, pytest.approx(2.4842, abs=1e-4))
    assert interval([5.0, 5.0]) == Interval(5.0, 5.0, 5.0)


def test_one_value_has_no_interval():
    with pytest.raises(ValueError, match="measure at least 2 seeds"):
        interval([1.0])


def test_overlapping_and_touching_intervals_tie():
    low, touching, high = Interval(1, 0, 2), Interval(3, 2, 4), Interval(6, 5, 7)
    assert not low.beats(touching, False)
    assert not touching.beats(low, True)
    assert low.beats(high, False)
    assert high.beats(low, True)


def test_places_count_who_is_told_to_be_better():
    scores = {"a": Interval(9, 8, 10), "b": Interval(8, 7, 9), "c": Interval(7, 6, 7.5), "d": Interval(1, 0, 2)}
    assert places(scores) == {"a": 1, "b": 1, "c": 2, "d": 4}
    assert ties(scores, "b") == ["a", "c"]
    assert ties(scores, "d") == []


def test_ranks_of_records_are_those_computed_by_hand():
    """small and good are free; poor is worse than small in time and equal elsewhere; bad is worse in all than poor."""
    records = [
        *seeds("small", memory=1.0, time=10.0, f1=0.8),
        *seeds("good", memory=2.0, time=20.0, f1=0.9),
        *seeds("poor", memory=1.0, time=20.0, f1=0.8),
        *seeds("bad", memory=3.0, time=30.0, f1=0.7, disk=5.0),
    ]
    assert ranks_of(records) == {"small": 1, "good": 1, "poor": 2, "bad": 3}


def test_no_method_is_better_inside_the_noise():
    """5 % less time on average, and seeds that lie further apart than that: a tie in rank and in place."""
    records = [
        *(record("quick", seed, time=time) for seed, time in enumerate((9.0, 9.5, 10.0))),
        *(record("slow", seed, time=time) for seed, time in enumerate((9.4, 10.0, 10.6))),
    ]
    quick, slow = standing_of(records, "quick"), standing_of(records, "slow")
    assert (quick.rank, slow.rank, quick.place, slow.place) == (1, 1, 1, 1)
    assert (quick.tied, slow.tied) == (("slow",), ("quick",))
    assert quick.score > slow.score


def test_truth_of_probes_decides_where_all_else_is_equal():
    records = [*seeds("honest", right=9), *seeds("dreamer", right=3)]
    assert ranks_of(records) == {"honest": 1, "dreamer": 2}
    assert standing_of(records, "dreamer").dominated_by == ("honest",)


def test_refusing_well_is_no_truth():
    rows = [summary("facts", 4), summary("sequences", 1, items=10), summary("guardrails", 10)]
    rows.append({**summary("facts", 9), "language": "de"})
    assert DIMENSIONS["truth"].figure_of(replace(RECORD, tables={"probes": rows})) == 0.25  # 5 of 20


@pytest.mark.parametrize(
    ("value", "best", "greater", "share"),
    [(2, 1, False, 0.5), (1, 1, False, 1), (0.45, 0.9, True, 0.5), (0, 0, True, 1), (3, 0, False, 0), (0, 0, False, 1)],
)
def test_share_of_the_best(value, best, greater, share):
    assert share_of_best(value, best, greater) == share


def test_score_is_the_weighted_mean_of_shares():
    """lean: memory 1 of 1, quality .45 of .9; good: memory 1 of 2, quality 1: (1 + 3 · .5) / 4 and (.5 + 3) / 4."""
    figures = {"lean": [{"memory": 1, "quality": 0.45}], "good": [{"memory": 2, "quality": 0.9}]}
    greater = {"memory": False, "quality": True}
    found = scores_of(figures, greater, {"memory": 1.0, "quality": 3.0})
    assert found == {"lean": [pytest.approx(0.625)], "good": [pytest.approx(0.875)]}


def test_weights_decide_who_comes_first():
    records = [*seeds("lean", memory=1.0, f1=0.5), *seeds("good", memory=4.0, f1=0.9)]
    first = [compare(records, {**dict.fromkeys(DIMENSIONS, 0.0), name: 1.0})[0][0].standings[0].method
             for name in ("memory", "quality")]  # fmt: skip
    assert first == ["lean", "good"]


def test_a_loss_is_better_when_smaller():
    """support's metric is a loss, and the share of the best is the best by it."""
    records = [
        replace(one, case=one.case.replace("pos-minilm_l6", "support-smollm2_135m"), quality={"loss": loss})
        for method, loss in (("lora", 2.0), ("ia3", 4.0))
        for one in seeds(method)
    ]
    (comparison,), _ = compare(records, {**dict.fromkeys(DIMENSIONS, 0.0), "quality": 1.0})
    assert [(one.method, one.score) for one in comparison.standings] == [("lora", 1.0), ("ia3", 0.5)]


def test_one_seed_has_a_score_but_neither_rank_nor_place():
    records = [*seeds("lora"), record("ia3", 0, memory=0.5)]
    alone = standing_of(records, "ia3")
    assert (alone.rank, alone.place, alone.tied, alone.score_interval) == (None, None, (), None)
    assert alone.score > standing_of(records, "lora").score
    assert standing_of(records, "lora").rank == 1


def test_what_no_record_has_is_left_out_and_said():
    (comparison,), _ = compare(seeds("lora"), EVEN)
    assert comparison.left_out == ["truth is left out: no record has it"]
    assert list(comparison.greater) == ["memory", "disk", "time", "quality"]


def test_what_one_record_lacks_is_left_out_and_names_it():
    (comparison,), _ = compare([*seeds("lora", right=3), *seeds("ia3")], EVEN)
    assert comparison.left_out == ["truth is left out: 2 of 4 records lack it, as pos-minilm_l6-ia3-cpu-s0"]


def test_answers_to_other_probes_are_not_compared():
    other = [replace(one, tables={"probes": [summary("facts", 3, items=12)]}) for one in seeds("ia3")]
    (comparison,), _ = compare([*seeds("lora", right=3), *other], EVEN)
    assert comparison.left_out == ["truth is left out: the records were asked different probes"]


def test_quality_of_random_weights_is_left_out():
    (comparison,), _ = compare([replace(one, quality_judged=False) for one in seeds("lora")], EVEN)
    assert "quality is left out: no record has it" in comparison.left_out


def test_noisy_figures_of_two_machines_are_left_out():
    other = [replace(one, environment={"processor": "Q"}) for one in seeds("ia3")]
    (comparison,), _ = compare([*seeds("lora"), *other], EVEN)
    assert comparison.left_out[:2] == [
        "memory is left out: the records differ in machine", "time is left out: the records differ in machine",
    ]  # fmt: skip
    assert list(comparison.greater) == ["disk", "quality"]


@pytest.mark.parametrize(
    ("environment", "part"),
    [
        ({"libraries": {"torch": "1.0.0"}}, "libraries"),
        ({"emulation": "t4"}, "emulation"),
        ({"system": "Windows", "libraries": {"torch": "1.0.0"}}, "libraries and machine"),
    ],
)
def test_noisy_figures_of_other_libraries_and_of_an_emulated_card_are_left_out(environment, part):
    other = [replace(one, environment={**one.environment, **environment}) for one in seeds("ia3")]
    (comparison,), _ = compare([*seeds("lora"), *other], EVEN)
    assert f"time is left out: the records differ in {part}" in comparison.left_out
    assert list(comparison.greater) == ["disk", "quality"]


def test_failed_record_is_refused_by_name():
    failed = Record(case="pos-minilm_l6-dora-cpu-s0", status=CRASHED, reason="signal 11")
    comparisons, refused = compare([*seeds("lora"), failed], EVEN)
    assert refused == ["pos-minilm_l6-dora-cpu-s0: crashed, signal 11"]
    assert [one.method for one in comparisons[0].standings] == ["lora"]


def test_method_after_another_is_refused_by_name():
    _, refused = compare([record("lora_after_full", 0)], EVEN)
    assert refused == [
        "pos-minilm_l6-lora_after_full-cpu-s0: it goes on from full, whose time and adapter its record does not count"
    ]


def test_unknown_task_is_refused_by_name():
    _, refused = compare([replace(RECORD, case="toy-minilm_l6-lora-cpu-s0")], EVEN)
    assert refused == ["toy-minilm_l6-lora-cpu-s0: no task 'toy' here, whose metric would be known"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"data": {"identity": "other"}}, "data"),
        ({"weights": {"identity": "other"}}, "weights"),
        ({"weights": {"identity": "other"}, "data": {"identity": "other"}}, "data and weights"),
        ({"recipe": {"data": "sample", "engine": "trainer"}}, "engine"),
        ({"recipe_digest": "other"}, "recipe"),
    ],
)
def test_records_measured_otherwise_are_refused_by_name(change, what):
    records = [*seeds("lora"), replace(record("lora", 2), **change)]
    with pytest.raises(ValueError, match=f"pos-minilm_l6-lora-cpu-s2 has other {what} than pos-minilm_l6-lora-cpu-s0"):
        compare(records, EVEN)


def test_sizes_of_data_are_compared_apart():
    full = [replace(one, recipe={"data": "full"}, data={"identity": "other"}) for one in seeds("ia3")]
    comparisons, _ = compare([*seeds("lora"), *full], EVEN)
    assert [one.name for one in comparisons] == ["pos-minilm_l6-cpu-sample", "pos-minilm_l6-cpu-full"]


def test_weights_are_read_and_what_is_not_named_weighs_nothing():
    assert parse_weights("memory=1, quality=2.5") == {"memory": 1, "disk": 0, "time": 0, "quality": 2.5, "truth": 0}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "'' must be NAME=NUMBER, as memory=1,quality=2"),
        ("memory", "'memory' must be NAME=NUMBER, as memory=1,quality=2"),
        ("qualty=1", "no dimension named 'qualty'; did you mean quality?"),
        ("memory=much", "memory='much' must be a number, as memory=2"),
        ("memory=", "memory='' must be a number, as memory=2"),
        ("memory=-1", "memory=-1 must be a finite number that is not negative"),
        ("memory=inf", "memory=inf must be a finite number that is not negative"),
        ("memory=nan", "memory=nan must be a finite number that is not negative"),
        ("memory=1,memory=2", "memory is given twice; give it one weight"),
        ("memory=0,truth=0", "every weight is 0; at least one must be above it"),
    ],
)
def test_bad_weights_are_one_sentence(text, says, capsys):
    assert main(["score", "smoke", "--weights", text]) == 2
    assert capsys.readouterr().err == f"bench: --weights: {says}\n"


@pytest.fixture
def run(tmp_path):
    for one in [*seeds("lora", right=8), *seeds("ia3", memory=1.0, right=6), record("head", 0, right=2)]:
        append_record(tmp_path / "records.jsonl", one)
    return str(tmp_path)


def test_command_prints_a_table_with_ranks_places_and_noise(run, capsys):
    assert main(["score", run, "--markdown"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("### pos-minilm_l6-cpu-sample\n\n| method | seeds | Pareto rank | score | place |")
    assert "| ia3 | 2 | 1 | 0.958 ± 0.001 | 1 | 1.00 GB ± 0.01 GB | 1.00 MB | 10.0 s | 0.9000 | 60.0% |" in said
    assert "no rank and no place for head: with one seed the noise is not known" in said


def test_command_prints_json_that_parses(run, capsys):
    assert main(["score", run, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["weights"] == WEIGHTS
    assert [one["method"] for one in found["groups"][0]["standings"]] == ["ia3", "lora", "head"]


def test_weight_on_what_is_left_out_says_so(capsys):
    assert main(["score", "seeds-smoke", "--weights", "truth=1"]) == 0
    said = capsys.readouterr().out
    assert "no score: whatever has a weight is left out" in said
    assert "truth is left out: no record has it" in said


def test_nothing_to_score_is_one_sentence(tmp_path, capsys):
    append_record(tmp_path / "records.jsonl", Record(case=RECORD.case, status=CRASHED, reason="signal 9"))
    assert main(["score", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"bench: nothing to score: {RECORD.case}: crashed, signal 9\n"


def test_committed_seeds_tell_what_is_dominated(capsys):
    """dora's F1 overlaps lora_all's, which takes less memory and disk; full's F1 is above all beyond the noise."""
    assert main(["score", "seeds-smoke", "--json"]) == 0
    groups = {one["name"]: one for one in json.loads(capsys.readouterr().out)["groups"]}
    standings = {one["method"]: one for one in groups["pos-minilm_l6-cpu-sample"]["standings"]}
    assert len(standings) == 10
    assert "lora_all" in standings["dora"]["dominated_by"]
    assert standings["full"]["dominated_by"] == []
    assert standings["full"]["place"] == 9
