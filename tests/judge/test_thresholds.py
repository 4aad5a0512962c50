"""Bands: measured on seeds by a rule, two-sided, and good for one recipe, one set of weights and one set of data."""

import math
import random
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
from run_files import append_record

from bench.__main__ import main
from bench.commands import thresholds as command
from bench.core.case import parse_case
from bench.core.files import BadFile
from bench.core.paths import RESULTS
from bench.judge.thresholds import (
    FILE,
    IDEAL,
    LEAST_SEEDS,
    OWN_FILE,
    OWN_VARIABLE,
    Band,
    Thresholds,
    as_toml,
    band,
    measure,
    one_item,
    own_thresholds,
    read_thresholds,
    read_with_own,
    wider_than_gain,
)
from bench.records.basis import group_of
from bench.records.record import CRASHED, Record, read_records
from bench.tasks import TASKS

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


def seeds_of(record, count=3):
    """The record as several seeds' that do not differ."""
    return [replace(record, case=f"{record.case.rsplit('-', 1)[0]}-s{seed}") for seed in range(count)]


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
    ("before", "after", "items", "quality"),
    [
        (0.4, 0.6, 0, [0.58, 0.62]),  # gained 0.2, left 0.4: a tenth of 0.2
        (0.0, 0.9, 0, [0.89, 0.91]),  # gained 0.9, left 0.1: a tenth of 0.1
        (0.4, 0.6, 20, [0.55, 0.65]),  # one of 20 held-out examples
        (0.4, 0.6, 100, [0.58, 0.62]),  # one of 100 is less than a tenth of the gain
    ],
)
def test_margin_is_at_least_a_tenth_of_what_was_gained_or_left_and_one_example(before, after, items, quality):
    data = {**POS.data, "held_out_examples": items} if items else POS.data
    records = seeds_of(replace(POS, quality={"f1": after}, quality_before={"f1": before}, data=data))
    assert measure(records)["pos-minilm_l6-lora-cpu-sample"]["quality"] == quality


def test_margin_of_a_loss_is_not_of_examples():
    records = seeds_of(replace(SUPPORT, data={**SUPPORT.data, "held_out_examples": 2}))
    assert measure(records)["support-smollm2_135m-lora-cpu-sample"]["quality"] == [1.9, 2.1]


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_than_three_seeds_are_refused_by_name(count):
    with pytest.raises(ValueError, match=rf"^pos-minilm_l6-lora-cpu-sample: {count} seeds \(pos-minilm_l6-lora-cpu-s0"):
        measure(SEEDS[:count])


def test_a_band_wider_than_the_gain_is_listed():
    assert wider_than_gain({"a": ENTRY}) == {}
    wide = {**ENTRY, "quality": [0.1, 1.0]}
    assert wider_than_gain({"a": ENTRY, "b": wide}) == {"b": (pytest.approx(0.9), 0.8)}


def test_command_lists_bands_that_are_wider_than_the_gain(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command, "FILE", tmp_path / "thresholds.toml")
    monkeypatch.setattr(command, "read_thresholds", lambda path: Thresholds({}))
    noisy = [replace(one, quality={"f1": f1}) for one, f1 in zip(seeds_of(POS), (0.2, 0.5, 0.8), strict=True)]
    for record in noisy:
        append_record(tmp_path / "run" / "records.jsonl", record)
    assert main(["thresholds", str(tmp_path / "run")]) == 0
    assert "pos-minilm_l6-lora-cpu-sample: its band is 1.0000 wide and training gains 0.5000" in capsys.readouterr().out


@pytest.fixture
def run_of_three_seeds(tmp_path):
    for record in SEEDS:
        append_record(tmp_path / "run" / "records.jsonl", record)
    return tmp_path / "run"


def test_a_persons_own_thresholds_go_into_a_file_of_theirs(run_of_three_seeds, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(TEXT.replace("minilm_l6", "tiny_bert"), encoding="utf-8")
    project = FILE.read_text(encoding="utf-8")
    assert main(["thresholds", str(run_of_three_seeds), "--output", "mine.toml"]) == 0
    out, err = capsys.readouterr()
    assert out == "2 thresholds in mine.toml\n"
    assert (
        err
        == f"next: pytest suites/test_quality.py --replay {run_of_three_seeds} --thresholds mine.toml judges a run by them\n"
    )
    names = {"pos-minilm_l6-lora-cpu-sample", "pos-tiny_bert-lora-cpu-sample"}
    assert read_thresholds(tmp_path / "mine.toml").entries.keys() == names
    assert FILE.read_text(encoding="utf-8") == project


def test_outside_a_checkout_the_file_is_a_persons_own(run_of_three_seeds, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["thresholds", str(run_of_three_seeds)]) == 0
    out, err = capsys.readouterr()
    assert out == f"1 threshold in {OWN_FILE}\n"
    assert err.startswith(f"next: pytest suites/test_quality.py --replay {run_of_three_seeds} judges")
    assert read_thresholds(tmp_path / OWN_FILE).entries.keys() == {"pos-minilm_l6-lora-cpu-sample"}


def test_a_persons_own_threshold_counts_where_the_project_has_one_too(tmp_path):
    (tmp_path / "mine.toml").write_text(TEXT.replace("f1", "f2"), encoding="utf-8")
    both = read_with_own(tmp_path / "mine.toml").entries
    assert both["pos-minilm_l6-lora-cpu-sample"]["metric"] == "f2"
    assert both.keys() == read_thresholds().entries.keys()


def test_own_thresholds_are_named_or_of_the_environment_or_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(OWN_VARIABLE, raising=False)
    assert own_thresholds() is None
    (tmp_path / OWN_FILE).touch()
    assert own_thresholds() == Path(OWN_FILE)
    monkeypatch.setenv(OWN_VARIABLE, "other.toml")
    assert own_thresholds() == Path("other.toml")
    assert own_thresholds("named.toml") == Path("named.toml")


def test_own_thresholds_that_are_not_there_say_what_writes_them():
    with pytest.raises(
        BadFile,
        match=r"no\.toml: there is no such file; `python -m bench thresholds RUN\.\.\. --output no\.toml` writes it",
    ):
        read_with_own(Path("no.toml"))


def test_a_wrong_key_says_which_is_near(tmp_path):
    (tmp_path / "mine.toml").write_text(TEXT.replace("quality =", "qualty ="), encoding="utf-8")
    with pytest.raises(
        BadFile,
        match=r"mine\.toml \[pos-.*\]: must have exactly the keys .* too; it has 'qualty', did you mean quality\?",
    ):
        read_thresholds(tmp_path / "mine.toml")


def test_a_seed_given_twice_is_refused():
    with pytest.raises(ValueError, match="pos-minilm_l6-lora-cpu-sample: one seed is given twice"):
        measure([*SEEDS, SEEDS[0]])


def test_band_of_a_loss_reaches_to_both_sides_too():
    """From 3.0 to 2.0, 2.1 and 2.2, deviation 0.1: 2.0 - 0.3 and 2.2 + 0.3; half of the mean gain of 0.9; before, a
    tenth of that gain to each side.
    """
    losses = zip(seeds_of(SUPPORT), (2.0, 2.2, 2.1), strict=True)
    entry = measure([replace(one, quality={"loss": loss}) for one, loss in losses])[
        "support-smollm2_135m-lora-cpu-sample"
    ]
    assert (entry["metric"], entry["quality"], entry["gain"], entry["seeds"]) == ("loss", [1.7, 2.5], 0.45, 3)
    assert entry["before"] == [2.91, 3.09]


def test_sizes_of_data_are_measured_apart():
    full = seeds_of(replace(POS, recipe={"data": "full"}, recipe_digest="other", data={"identity": "other"}))
    assert measure([*SEEDS, *full]).keys() == {"pos-minilm_l6-lora-cpu-sample", "pos-minilm_l6-lora-cpu-full"}


def test_records_that_are_not_judged_or_not_ok_do_not_count():
    crashed = Record(case="pos-minilm_l6-lora-cpu-s3", status=CRASHED)
    synthetic = replace(POS, case="pos-minilm_l6-lora-cpu-s4", quality_judged=False, quality={"f1": 0.0})
    assert measure([crashed, synthetic]) == {}
    assert measure([*SEEDS, crashed, synthetic])["pos-minilm_l6-lora-cpu-sample"]["seeds"] == 3


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"recipe_digest": "other"}, "recipe"),
        ({"weights": {"identity": "x"}}, "weights"),
        ({"weights": {"identity": "x"}, "data": {"identity": "x"}}, "data and weights"),
    ],
)
def test_seeds_that_differ_in_more_than_the_seed_are_refused(other, says):
    with pytest.raises(ValueError, match=f"pos-minilm_l6-lora-cpu-sample: the records differ in {says}; measure"):
        measure([POS, replace(SEEDS[1], **other)])


def test_an_older_seed_that_does_not_state_its_files_is_measured_with_the_others():
    newer = replace(SEEDS[1], weights={"identity": "sha256:w", "files": "sha256:f"})
    assert "files" not in measure([SEEDS[0], newer, SEEDS[2]])["pos-minilm_l6-lora-cpu-sample"]


def test_written_file_reads_back(tmp_path):
    path = tmp_path / "thresholds.toml"
    records = [*SEEDS, *seeds_of(SUPPORT)]
    path.write_text(as_toml(measure(records)), encoding="utf-8")
    assert read_thresholds(path).entries == measure(records)


def test_written_file_is_sorted_so_that_its_differences_are_small():
    assert as_toml({"b": ENTRY, "a": ENTRY}) == as_toml({"a": ENTRY, "b": ENTRY})


def test_threshold_of_a_whole_number_reads_back(tmp_path):
    path = tmp_path / "thresholds.toml"
    record = replace(SUPPORT, quality={"loss": 1.0}, quality_before={"loss": 3.0})
    path.write_text(as_toml(measure(seeds_of(record))), encoding="utf-8")
    assert read_thresholds(path).entries["support-smollm2_135m-lora-cpu-sample"]["gain"] == 1.0


def test_no_threshold_is_set_where_a_seed_gained_nothing():
    with pytest.raises(ValueError, match="a seed gained nothing"):
        measure(seeds_of(replace(POS, quality={"f1": 0.6}, quality_before={"f1": 0.9})))


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


def committed_groups():
    """The committed records of every case that was run on enough seeds alike, by case without its seed."""
    groups = {}
    for path in sorted(RESULTS.glob("runs/seeds-*/records.jsonl")):
        for record in read_records(path)[0].values():
            if record.ok and record.quality_judged:
                groups.setdefault((group_of(record), record.recipe_digest), {})[record.case] = record
    return {name: list(found.values()) for (name, _), found in groups.items() if len(found) >= LEAST_SEEDS}


def outside(group, shift=0.0, times=2000):
    """How often a new seed falls outside the band of three, where seeds deviate as the group's; shifted by a part of
    the gain.
    """
    task = TASKS[parse_case(group[0].case).task]
    after, before = ([q[task.metric] for q in found] for found in
                     zip(*[(record.quality, record.quality_before) for record in group], strict=True))  # fmt: skip
    mean, deviation = statistics.mean(after), statistics.stdev(after)
    gain, left = abs(mean - statistics.mean(before)), abs(IDEAL[task.greater_is_better] - mean)
    least = one_item(group) if task.greater_is_better else 0.0
    draw, found = random.Random(0), 0
    for _ in range(times):
        low, high = band([draw.gauss(mean, deviation) for _ in range(3)], min(gain, left), (-math.inf, math.inf), least)
        found += not low <= draw.gauss(mean + shift * gain, deviation) <= high
    return found / times


def test_new_seeds_of_committed_cases_seldom_fall_outside_and_no_gain_does():
    """Simulated with each case's own spread and reference. A seed that gained nothing is refused."""
    groups = committed_groups()
    assert len(groups) > 20
    new = {name: outside(group) for name, group in groups.items()}
    assert statistics.mean(new.values()) < 0.01, new
    assert max(new.values()) < 0.1, new
    quiet = [name for name, share in new.items() if share < 0.01]
    assert min(outside(groups[name], shift=-1.0, times=500) for name in quiet) > 0.99


def test_a_reference_is_a_margin_where_seeds_do_not_differ():
    assert band([2.0, 2.0], 0.5, (0.0, 9.0)) == [1.95, 2.05]
    assert band([0.99, 0.99], 0.5, (0.0, 1.0)) == [0.94, 1.0]
    assert band([0.01, 0.03], 0.5, (0.0, 1.0)) == [0.0, 0.08]
