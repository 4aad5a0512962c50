"""Bands: measured on seeds by a rule, two-sided, and good for one recipe, one set of weights and one set of data."""

import random
from dataclasses import replace

import pytest

from bench.recipe import BadFile
from bench.record import CRASHED, Record
from bench.thresholds import Band, Thresholds, as_toml, band, group_of, measure, read_thresholds

POS = Record(
    case="pos-minilm_l6-lora-cpu-s0",
    status="ok",
    recipe={"data": "sample"},
    recipe_digest="0123456789ab",
    quality={"f1": 0.8, "accuracy": 0.9},
    quality_before={"f1": 0.0, "accuracy": 0.1},
    quality_judged=True,
    weights={"identity": "sha256:w", "origin": "package"},
    data={"identity": "sha256:d"},
)
SUPPORT = replace(
    POS, case="support-smollm2_135m-lora-cpu-s0", quality={"loss": 2.0}, quality_before={"loss": 3.0}
)  # fmt: skip
SEEDS = [
    replace(POS, case=f"pos-minilm_l6-lora-cpu-s{seed}", quality={"f1": f1}) for seed, f1 in enumerate((0.8, 0.7, 0.9))
]
ENTRY = {
    "metric": "f1",
    "recipe": "0123456789ab",
    "weights": "sha256:w",
    "origin": "package",
    "data": "sha256:d",
    "quality": [0.4, 1.0],
    "before": [0.0, 0.08],
    "gain": 0.4,
    "seeds": 3,
}
TEXT = as_toml({"pos-minilm_l6-lora-cpu-sample": ENTRY})


@pytest.fixture
def thresholds():
    return Thresholds({"pos-minilm_l6-lora-cpu-sample": ENTRY, "support-smollm2_135m-lora-cpu-sample": ENTRY})


def test_group_is_the_case_without_its_seed_and_the_size_of_its_data():
    record = replace(POS, case="pos-minilm_l6-lora-cpu-s12", recipe={"data": "full"})
    assert group_of(record) == "pos-minilm_l6-lora-cpu-full"


def test_band_reaches_three_deviations_beyond_the_worst_and_the_best_seed():
    """0.7, 0.8, 0.9 deviate by 0.1: 0.7 - 0.3, and 0.9 + 0.3 is more than F1 can be; before are 0 and a tenth of the
    mean gain of 0.8; half of that gain is 0.4.
    """
    assert measure(SEEDS) == {"pos-minilm_l6-lora-cpu-sample": ENTRY}


@pytest.mark.parametrize(
    ("before", "after", "quality"),
    [
        (0.4, (0.6, 0.6), [0.58, 0.62]),  # gained 0.2, left 0.4: a tenth of 0.2
        (0.0, (0.9, 0.9), [0.89, 0.91]),  # gained 0.9, left 0.1: a tenth of 0.1
        (0.4, (0.6,), [0.58, 0.62]),  # one seed has no deviation
    ],
)
def test_margin_is_at_least_a_tenth_of_what_was_gained_or_left(before, after, quality):
    records = [
        replace(POS, case=f"pos-minilm_l6-lora-cpu-s{seed}", quality={"f1": f1}, quality_before={"f1": before})
        for seed, f1 in enumerate(after)
    ]
    assert measure(records)["pos-minilm_l6-lora-cpu-sample"]["quality"] == quality


def test_a_seed_given_twice_is_refused():
    with pytest.raises(ValueError, match="pos-minilm_l6-lora-cpu-sample: one seed is given twice"):
        measure([*SEEDS, SEEDS[0]])


def test_band_of_a_loss_reaches_to_both_sides_too():
    """From 3.0 to 2.0 and 2.2, deviation 0.1414: 2.0 - 0.4243 and 2.2 + 0.4243; half of the mean gain of 0.9; before,
    a tenth of that gain to each side.
    """
    other = replace(SUPPORT, case="support-smollm2_135m-lora-cpu-s1", quality={"loss": 2.2})
    entry = measure([SUPPORT, other])["support-smollm2_135m-lora-cpu-sample"]
    assert (entry["metric"], entry["quality"], entry["gain"], entry["seeds"]) == ("loss", [1.5757, 2.6243], 0.45, 2)
    assert entry["before"] == [2.91, 3.09]


def test_sizes_of_data_are_measured_apart():
    full = replace(POS, recipe={"data": "full"}, recipe_digest="other", data={"identity": "other"})
    assert measure([POS, full]).keys() == {"pos-minilm_l6-lora-cpu-sample", "pos-minilm_l6-lora-cpu-full"}


def test_records_that_are_not_judged_or_not_ok_do_not_count():
    crashed = Record(case="pos-minilm_l6-lora-cpu-s1", status=CRASHED)
    synthetic = replace(POS, case="pos-minilm_l6-lora-cpu-s2", quality_judged=False, quality={"f1": 0.0})
    assert measure([crashed, synthetic]) == {}
    assert measure([POS, crashed, synthetic])["pos-minilm_l6-lora-cpu-sample"]["seeds"] == 1


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"recipe_digest": "other"}, "recipe"),
        ({"weights": {"identity": "x"}}, "weights"),
        ({"weights": {"identity": "x"}, "data": {"identity": "x"}}, "data and weights"),
        ({"weights": {"identity": "sha256:w", "files": "sha256:f"}}, ""),  # the other record does not say
    ],
)
def test_seeds_that_differ_in_more_than_the_seed_are_refused(other, says):
    if not says:
        assert "files" not in measure([POS, replace(SEEDS[1], **other)])["pos-minilm_l6-lora-cpu-sample"]
        return
    with pytest.raises(ValueError, match=f"pos-minilm_l6-lora-cpu-sample: the records differ in {says}; measure"):
        measure([POS, replace(SEEDS[1], **other)])


def test_written_file_reads_back(tmp_path):
    path = tmp_path / "thresholds.toml"
    path.write_text(as_toml(measure([*SEEDS, SUPPORT])), encoding="utf-8")
    assert read_thresholds(path).entries == measure([*SEEDS, SUPPORT])


def test_written_file_is_sorted_so_that_its_differences_are_small():
    assert as_toml({"b": ENTRY, "a": ENTRY}) == as_toml({"a": ENTRY, "b": ENTRY})


def test_threshold_of_a_whole_number_reads_back(tmp_path):
    path = tmp_path / "thresholds.toml"
    record = replace(SUPPORT, quality={"loss": 1.0}, quality_before={"loss": 3.0})
    path.write_text(as_toml(measure([record])), encoding="utf-8")
    assert read_thresholds(path).entries["support-smollm2_135m-lora-cpu-sample"]["gain"] == 1.0


def test_no_threshold_is_set_where_a_seed_gained_nothing():
    with pytest.raises(ValueError, match="a seed gained nothing"):
        measure([replace(POS, quality={"f1": 0.6}, quality_before={"f1": 0.9})])


def test_threshold_speaks_of_its_recipe_weights_and_data(thresholds):
    assert thresholds.mismatch(POS) == ""
    assert thresholds.quality_of(POS) == Band(0.4, 1.0)
    assert thresholds.entry_of(POS) == ENTRY


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"case": "pos-minilm_l6-dora-cpu-s0"}, "no threshold was measured for pos-minilm_l6-dora-cpu-sample"),
        ({"recipe_digest": "x"}, "the threshold was measured with other recipe"),
        ({"weights": {}}, "the threshold was measured with other weights"),
        ({"data": {"identity": "x"}}, "the threshold was measured with other data"),
        ({"recipe_digest": "x", "data": {}}, "the threshold was measured with other recipe and data"),
        ({"case": "support-smollm2_135m-lora-cpu-s0"}, "the threshold was measured with other metric"),
    ],
)
def test_threshold_is_silent_on_anything_else(thresholds, other, says):
    record = replace(POS, **other)
    assert thresholds.mismatch(record) == says
    assert thresholds.entry_of(record) is None
    assert thresholds.quality_of(record) is None


def test_no_file_means_no_thresholds(tmp_path):
    assert read_thresholds(tmp_path / "none.toml").entries == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (TEXT.replace("seeds = 3", ""), "[pos-minilm_l6-lora-cpu-sample]: must have exactly the keys metric, recipe"),
        (TEXT + "more = 1\n", "[pos-minilm_l6-lora-cpu-sample]: must have exactly the keys"),
        (TEXT.replace("quality = [0.4, 1.0]", "quality = 0.4"), "quality = 0.4 must be list"),
        (TEXT.replace("quality = [0.4, 1.0]", "quality = [0.4]"), "quality = [0.4] must be [lowest, highest]"),
        (
            TEXT.replace("quality = [0.4, 1.0]", "quality = [1.0, 0.4]"),
            "quality = [1.0, 0.4] must be [lowest, highest]",
        ),
        (TEXT.replace("quality = [0.4, 1.0]", "quality = [0.4, true]"), "quality = [0.4, True] must be of finite"),
        (TEXT.replace("quality = [0.4, 1.0]", "quality = [0.4, nan]"), "quality = [0.4, nan] must be of finite"),
        (TEXT.replace("\ngain = 0.4", '\ngain = "0.4"'), "gain = '0.4' must be float"),
        (TEXT.replace("\ngain = 0.4", "\ngain = inf"), "gain = inf must be of finite"),
        (TEXT.replace("seeds = 3", "seeds = 3.0"), "seeds = 3.0 must be int"),
        (TEXT.replace('metric = "f1"', "metric = 1"), "metric = 1 must be str"),
        ("pos = 1\n", "[pos]: must have exactly the keys"),
        ("[pos\n", "line 1"),
    ],
)
def test_mistake_in_the_file_is_named(tmp_path, text, says):
    path = tmp_path / "thresholds.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadFile) as raised:
        read_thresholds(path)
    assert str(raised.value).startswith(str(path))
    assert says in str(raised.value)


def test_files_beside_the_weights_count_where_both_know_them(thresholds):
    """Thresholds of older records state the safetensors alone, and stay good."""
    newer = replace(POS, weights={**POS.weights, "files": "sha256:f"})
    assert thresholds.mismatch(newer) == ""
    known = Thresholds({"pos-minilm_l6-lora-cpu-sample": {**ENTRY, "files": "sha256:f"}})
    assert known.mismatch(newer) == known.mismatch(POS) == ""
    other = replace(POS, weights={**POS.weights, "files": "sha256:g"})
    assert known.mismatch(other) == "the threshold was measured with other weights"


def test_measured_entry_states_files_where_every_seed_does():
    newer = [replace(record, weights={**POS.weights, "files": "sha256:f"}) for record in SEEDS]
    (entry,) = measure(newer).values()
    assert entry["files"] == "sha256:f"
    assert measure([newer[0], *SEEDS[1:]]).popitem()[1].keys() == ENTRY.keys()


@pytest.mark.parametrize("value", [0.39, 1.01])
def test_band_refuses_what_is_below_and_what_is_above(value):
    assert not Band(0.4, 1.0).holds(value)
    assert Band(0.4, 1.0).holds(0.4)
    assert Band(0.4, 1.0).holds(1.0)


def outside(seeds, shift, reference=0.0, times=4000):
    """How often a further seed falls outside the band of some, where seeds deviate by 1 and it is shifted."""
    draw = random.Random(0)
    found = 0
    for _ in range(times):
        low, high = band([draw.gauss(100, 1) for _ in range(seeds)], reference, (0.0, 1000.0))
        found += not low <= draw.gauss(100 + shift, 1) <= high
    return found / times


def test_three_seeds_hold_a_fourth_and_refuse_what_is_far_to_either_side():
    """Simulated. By the seeds' spread alone 8 of 100 honest seeds are unexpected; with a reference whose tenth is three
    deviations, and most measured cases have a larger one, fewer than one.
    """
    assert 0.05 < outside(3, 0) < 0.1
    assert outside(3, 0, reference=30) < 0.005
    for shift in (15, -15):
        assert outside(3, shift) > 0.95
        assert outside(3, shift, reference=30) > 0.95


def test_a_reference_is_a_margin_where_seeds_do_not_differ():
    assert band([2.0, 2.0], 0.5, (0.0, 9.0)) == [1.95, 2.05]
    assert band([0.99, 0.99], 0.5, (0.0, 1.0)) == [0.94, 1.0]
    assert band([0.01, 0.03], 0.5, (0.0, 1.0)) == [0.0, 0.08]
