"""Records feed claims: what fits is judged, what does not is refused by name, and a worse model turns the verdict."""

import json
import re
from dataclasses import replace

import pytest
from claim_records import MEASURED, claim_of, evidence_of, tagged_record

from bench.judge import statistics
from bench.judge.claims.admission import matches
from bench.judge.claims.kinds import measured
from bench.judge.claims.verdicts import correct_by_holm, judge_all
from bench.judge.verdict import Verdict
from bench.records.example_counts import word_counts

LORA, FULL = "pos-minilm_l6-lora-cpu", "pos-minilm_l6-full-cpu"
EQUIVALENT = {
    "kind": "equivalence",
    "quantity": "f1_difference",
    "value": 0.05,
    "comparator": "within",
    "by": {"case": LORA, "against": FULL, "figure": "seqeval_f1", "data": "sample", "seeds": 2},
}
ONE = {**MEASURED["by"], "seeds": 1, "one_seed": True}
FASTER = {
    "kind": "direction",
    "quantity": "speedup",
    "unit": "x",
    "value": 1,
    "comparator": "above",
    "by": {"case": LORA, "against": FULL, "figure": "seconds_per_step", "data": "sample", "seeds": 1},
}
TIMES = {"seconds_per_step": 1.0, "seconds_per_step_iqr": 0.05, "steps_timed": 40}


def only(verdict):
    """The verdict where nothing else was tested."""
    return correct_by_holm({verdict.claim: verdict}, {verdict.claim: "source 900"})[verdict.claim]


def seeds(case, wrong_every, folder, count=2, **changes):
    return [tagged_record(f"{case}-s{seed}", wrong_every, folder, **changes) for seed in range(count)]


def test_good_model_reaches_the_threshold_and_a_worse_one_does_not(tmp_path):
    claim = claim_of(MEASURED)
    good = measured.judge(claim, evidence_of(*seeds(LORA, 20, tmp_path)))
    worse = measured.judge(claim, evidence_of(*seeds(LORA, 2, tmp_path)))
    assert (good.state, worse.state) == ("confirmed", "refuted")
    assert good.p_value < 0.05
    assert good.records == ("run/pos-minilm_l6-lora-cpu-s0", "run/pos-minilm_l6-lora-cpu-s1")


def test_sentence_has_observed_expected_place_seeds_and_smallest_difference(tmp_path):
    says = measured.judge(claim_of(MEASURED, tolerance=0.01), evidence_of(*seeds(LORA, 20, tmp_path))).says
    assert says.startswith("stand-in minilm_l6 for bert_base: seqeval_f1 of pos-minilm_l6-lora-cpu is 0.975")
    for part in ("; 2 seeds; could have seen 0.0", "source 900, Table 1, row 2 says at least 0.9",
                 "tolerance 0.01", "p = ", "records run/pos-minilm_l6-lora-cpu-s0"):  # fmt: skip
        assert part in says


def test_one_seed_decides_nothing_unless_the_claim_states_how_seeds_spread(tmp_path):
    """0.975 on many examples is far from 0.5, and says nothing of another seed."""
    one = evidence_of(*seeds(LORA, 20, tmp_path, 1))
    silent = measured.judge(claim_of(MEASURED, value=0.5, by=ONE), one)
    assert (silent.state, silent.p_value) == ("inconclusive", None)
    assert "over 61 examples of one seed, whose own noise is not stated)" in silent.says
    for spread, state in ((0.1, "confirmed"), (0.5, "inconclusive")):
        found = measured.judge(claim_of(MEASURED, value=0.5, by={**ONE, "seed_spread": spread}), one)
        assert found.state == state, found.says
    assert only(found).says.endswith("; more seeds are needed")


def test_seeds_that_leave_it_open_say_how_many_would_do(tmp_path):
    two = measured.judge(claim_of(MEASURED, value=0.975), evidence_of(*seeds(LORA, 20, tmp_path)))
    assert two.state == "inconclusive"
    assert re.search(r"; (at least \d+ seeds like these|no number of seeds) would decide$", only(two).says)


def test_several_seeds_count_as_so_many_however_many_their_examples(tmp_path):
    """Two seeds of 0.98 and 0.74, of 61 sentences each, do not tell that the method is above 0.8."""
    unlike = [tagged_record(f"{LORA}-s{seed}", every, tmp_path) for seed, every in enumerate((20, 2))]
    found = measured.judge(claim_of(MEASURED, value=0.7), evidence_of(*unlike))
    assert found.state == "inconclusive"
    assert (
        f"p = {statistics.over_seeds([one.record.quality['seqeval_f1'] for one in unlike]).p_above(0.7):.2g}"
        in found.says
    )


def test_too_few_seeds_are_inconclusive(tmp_path):
    found = measured.judge(claim_of(MEASURED), evidence_of(*seeds(LORA, 0, tmp_path, count=1)))
    assert found.state == "inconclusive"
    assert "1 of 2 seeds are there" in found.says


def test_nothing_is_not_run_with_the_command_that_settles_it():
    found = measured.judge(claim_of(MEASURED), evidence_of())
    assert found.state == "not_run"
    assert found.says.endswith(
        "pytest suites/test_quality.py --tasks pos --models minilm_l6 --methods lora --devices cpu --seeds 0,1 --data sample"
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"recipe_digest": "0123456789ab"}, "of another recipe, digest 0123456789ab where today's is"),
        ({"status": "crashed", "reason": "a signal"}, "it crashed (a signal)"),
        ({"data": {"identity": "sha256:other", "held_out_examples": 60}}, "other data, sha256:other where sha256:"),
        ({"quality_judged": False}, "random weights, whose quality is not judged"),
        ({"quality": {}}, "it has no seqeval_f1"),
        ({"environment": {"accelerator": "H", "emulation": "T4"}}, "an emulated T4"),
    ],
)
def test_record_that_does_not_fit_is_refused_by_name_and_not_averaged_in(tmp_path, changes, says):
    """The stranger's predictions are all wrong: averaged in, they would refute the claim."""
    stranger = tagged_record(f"{LORA}-s2", 1, tmp_path, **changes)
    found = measured.judge(claim_of(MEASURED), evidence_of(*seeds(LORA, 20, tmp_path), stranger))
    assert found.state == "confirmed"
    assert f"refused run/pos-minilm_l6-lora-cpu-s2: {says}" in found.says
    alone = measured.judge(claim_of(MEASURED), evidence_of(stranger))
    assert alone.state == "not_run"
    assert says in alone.says


WORDS = {**MEASURED, "by": {**MEASURED["by"], "figure": "f1"}}


def test_f1_over_words_is_told_from_seqevals(tmp_path):
    """Every third sentence has one of its four words wrong: 11 in 12 are right."""
    found = measured.judge(claim_of(WORDS), evidence_of(*seeds(LORA, 3, tmp_path)))
    assert f"f1 of {LORA} is 0.91" in found.says
    assert found.state == "confirmed"


def test_f1_of_an_older_record_is_not_taken_for_that_over_words(tmp_path):
    """It was seqeval's on bare tags."""
    older = tagged_record(f"{LORA}-s2", 0, tmp_path, quality={"f1": 1.0, "precision": 1.0, "recall": 1.0})
    found = measured.judge(claim_of(WORDS), evidence_of(*seeds(LORA, 3, tmp_path), older))
    assert "refused run/pos-minilm_l6-lora-cpu-s2: it has no f1" in found.says


def test_word_without_a_prediction_is_counted_as_wrong(tmp_path):
    stored = tagged_record(f"{LORA}-s0", 0, tmp_path, sentences=2)
    rows = [{**row, "unscored": [1] * number} for number, row in enumerate(stored.examples)]
    path = tmp_path / stored.record.predictions
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert word_counts(replace(stored)).tolist() == [[4, 4], [5, 4]]


def test_records_of_other_weights_are_not_averaged_in(tmp_path):
    """The Hub's own weights and a package's dequantised ones: the kind with more seeds speaks."""
    other = {"identity": "sha256:other", "origin": "hub"}
    stranger = tagged_record(f"{LORA}-s2", 1, tmp_path, weights=other)
    found = measured.judge(claim_of(MEASURED), evidence_of(*seeds(LORA, 20, tmp_path), stranger))
    assert found.state == "confirmed"
    assert "run/pos-minilm_l6-lora-cpu-s2: other weights than run/pos-minilm_l6-lora-cpu-s0" in found.says


def test_record_with_missing_examples_is_refused_by_name(tmp_path):
    one, other = seeds(LORA, 20, tmp_path)
    path = tmp_path / other.record.predictions
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:50]), encoding="utf-8")
    found = measured.judge(claim_of(MEASURED), evidence_of(one, other))
    assert "s1: missing examples, 50 of 61 are there" in found.says
    assert found.state == "inconclusive"
    path.write_text('{"key": "te', encoding="utf-8")
    cut = replace(other, folder=tmp_path)
    assert "its predictions are cut or damaged" in measured.judge(claim_of(MEASURED), evidence_of(one, cut)).says


def test_damaged_predictions_do_not_end_the_judging_of_figures_that_need_none(tmp_path):
    """Two records of one seed, whose predictions would tell which of them speaks."""
    one = tagged_record(f"{LORA}-s0", 20, tmp_path, exact={"trainable_parameters": 5})
    (tmp_path / one.record.predictions).write_text('{"key": "te', encoding="utf-8")
    by = {"case": LORA, "figure": "trainable_parameters", "data": "sample", "seeds": 1}
    claim = claim_of(MEASURED, quantity="trainable_parameters", unit="parameters", value=5, comparator="equal", by=by)
    assert measured.judge(claim, evidence_of(one, replace(one))).state == "confirmed"


def test_equivalence_holds_within_the_margin_and_fails_beyond(tmp_path):
    claim = claim_of(MEASURED, **EQUIVALENT)
    full = seeds(FULL, 20, tmp_path)
    near = measured.judge(claim, evidence_of(*seeds(LORA, 20, tmp_path), *full))
    far = measured.judge(claim, evidence_of(*seeds(LORA, 2, tmp_path), *full))
    unlike = [tagged_record(f"{LORA}-s{seed}", every, tmp_path) for seed, every in enumerate((15, 20))]
    narrow = measured.judge(replace(claim, value=(0.0001,)), evidence_of(*unlike, *full))
    assert (near.state, far.state, narrow.state) == ("confirmed", "refuted", "inconclusive")


def timed(case, seconds, folder, **changes):
    return tagged_record(f"{case}-s0", 0, folder, noisy={**TIMES, "seconds_per_step": seconds}, **changes)


def test_direction_compares_medians_with_their_spread_and_that_of_processes(tmp_path):
    claim = claim_of(MEASURED, **FASTER)
    for seconds, state in ((2.0, "confirmed"), (1.2, "inconclusive"), (0.8, "inconclusive"), (0.5, "refuted")):
        found = measured.judge(claim, evidence_of(timed(LORA, seconds, tmp_path), timed(FULL, 1.0, tmp_path)))
        assert found.state == state, found.says
    assert "40 rounds or steps of one process each" in found.says


def test_too_few_steps_have_no_interval(tmp_path):
    """Of fewer than four steps a record has no quartiles."""
    few = {"seconds_per_step_iqr": None, "steps_timed": 3}
    sides = [
        tagged_record(f"{case}-s0", 0, tmp_path, noisy={**TIMES, **few, "seconds_per_step": seconds})
        for case, seconds in ((LORA, 9.0), (FULL, 1.0))
    ]
    found = measured.judge(claim_of(MEASURED, **FASTER), evidence_of(*sides))
    assert found.state == "inconclusive"
    assert "is 9× (one of processes, no interval)" in found.says


def test_several_processes_are_compared_by_their_own_spread(tmp_path):
    claim = claim_of(MEASURED, **{**FASTER, "by": {**FASTER["by"], "seeds": 3}})
    sides = [
        tagged_record(f"{case}-s{seed}", 0, tmp_path, noisy={**TIMES, "seconds_per_step": seconds + 0.01 * seed})
        for case, seconds in ((LORA, 1.2), (FULL, 1.0))
        for seed in range(3)
    ]
    found = measured.judge(claim, evidence_of(*sides))
    assert found.state == "confirmed"
    assert "; 3 processes; could have seen" in found.says


def test_figures_that_repeat_are_no_tests_and_every_record_must_agree(tmp_path):
    by = {"case": LORA, "figure": "allocated_bytes", "data": "sample", "seeds": 2}
    claim = claim_of(MEASURED, quantity="memory", unit="bytes", value=10, comparator="below", by=by)
    for sizes, state in (((7, 8), "confirmed"), ((11, 12), "refuted"), ((8, 12), "inconclusive")):
        records = [
            tagged_record(f"{LORA}-s{seed}", 0, tmp_path, exact={"step_allocated_bytes": size})
            for seed, size in enumerate(sizes)
        ]
        found = measured.judge(claim, evidence_of(*records))
        assert (found.state, found.p_value) == (state, None)
    assert "is 10 bytes (8 bytes to 12 bytes in 2 records; exact, so no test)" in found.says


def test_seconds_of_two_machines_do_not_compare(tmp_path):
    other = timed(FULL, 1.0, tmp_path, environment={"processor": "Q", "cores": 64, "accelerator": None})
    found = measured.judge(claim_of(MEASURED, **FASTER), evidence_of(timed(LORA, 1.5, tmp_path), other))
    assert found.state == "not_run"
    assert "run/pos-minilm_l6-full-cpu-s0: another run or machine than run/pos-minilm_l6-lora-cpu-s0" in found.says


@pytest.mark.parametrize("change", [{"threads": 64}, {"libraries": {"torch": "1.0.0"}}, {"system": "Windows"}])
def test_seconds_of_other_threads_libraries_or_systems_do_not_compare(tmp_path, change):
    other = timed(FULL, 1.0, tmp_path, environment={"processor": "P", "cores": 2, "accelerator": None, **change})
    found = measured.judge(claim_of(MEASURED, **FASTER), evidence_of(timed(LORA, 1.5, tmp_path), other))
    assert found.state == "not_run"


def test_seconds_compare_within_the_last_run_that_has_both_sides(tmp_path):
    """A run of its own with one side alone, or an older run, does not speak."""
    first = [replace(timed(case, seconds, tmp_path), run="a") for case, seconds in ((LORA, 0.5), (FULL, 1.0))]
    second = [replace(timed(case, seconds, tmp_path), run="b") for case, seconds in ((LORA, 1.5), (FULL, 1.0))]
    lone = replace(timed(LORA, 0.1, tmp_path), run="c")
    found = measured.judge(claim_of(MEASURED, **FASTER), evidence_of(*first, *second, lone))
    assert (found.state, found.records) == ("confirmed", (f"b/{LORA}-s0", f"b/{FULL}-s0"))
    apart = measured.judge(claim_of(MEASURED, **FASTER), evidence_of(lone, second[1]))
    assert apart.state == "not_run"


def test_a_sources_seconds_are_judged_on_its_device_alone(tmp_path):
    by = {"case": LORA, "figure": "seconds_per_step", "times": 100, "on": "8 cores", "data": "sample", "seeds": 1}
    claim = claim_of(MEASURED, quantity="duration", unit="s", value=100, comparator="equal", tolerance=40, by=by)
    eight = {"processor": "P", "cores": 8, "accelerator": None}
    here, there = timed(LORA, 1.0, tmp_path), timed(LORA, 1.0, tmp_path, environment=eight)
    assert measured.judge(claim, evidence_of(there)).state == "confirmed"
    elsewhere = measured.judge(claim, evidence_of(here))
    assert elsewhere.state == "not_run"
    assert "on P with 2 cores, not on 8 cores" in elsewhere.says
    eighteen = replace(there.record, environment={**eight, "cores": 18})
    assert measured.judge(claim, evidence_of(replace(there, record=eighteen))).state == "not_run"


@pytest.mark.parametrize(
    ("card", "name", "same"),
    [
        ("NVIDIA GeForce RTX 3080", "3080", True),
        ("NVIDIA GeForce RTX 3080 Ti", "3080", False),
        ("NVIDIA GeForce GTX 1080 Ti", "1080 Ti", True),
        ("NVIDIA GeForce RTX 3070 Laptop GPU", "3070", False),
        ("Tesla V100-SXM2-16GB", "V100", True),
    ],
)
def test_card_is_known_by_its_name(tmp_path, card, name, same):
    record = tagged_record(f"{LORA}-s0", 0, tmp_path, environment={"accelerator": card})
    assert matches(record, name) is same


def test_trend_by_the_course_of_the_losses(tmp_path):
    by = {"case": LORA, "figure": "loss_change", "data": "sample", "seeds": 1, "course": True}
    claim = claim_of(MEASURED, kind="trend", quantity="loss_change", unit="nats", value=0, comparator="below", by=by)
    for losses, state in (
        ([6, 5, 4, 3, 2, 1], "confirmed"),
        ([3, 4, 3, 4, 3, 3.5], "inconclusive"),
        ([1, 2, 3], "inconclusive"),  # one order in six
        ([1, 2, 3, 4], "refuted"),
    ):
        record = tagged_record(f"{LORA}-s0", 0, tmp_path, losses=[float(loss) for loss in losses])
        assert measured.judge(claim, evidence_of(record)).state == state


def test_a_rise_is_tested_as_a_fall_is(tmp_path):
    """Of four steps in an order that one in six has at random or better, neither is seen: 1 - p of a fall would say
    that the loss rises.
    """
    losses = [1.0, 2.0, 4.0, 3.0]
    assert statistics.rises(losses) == pytest.approx(4 / 24)
    assert 1 - statistics.falls(losses)[1] < 0.05
    assert measured.trend([losses])[0] == "inconclusive"
    assert measured.trend([[1.0, 2.0, 3.0, 4.0]])[0] == "refuted"  # one in 24


def test_trend_is_refuted_only_if_the_losses_of_every_seed_rise(tmp_path):
    by = {"case": LORA, "figure": "loss_change", "data": "sample", "seeds": 2, "course": True}
    claim = claim_of(MEASURED, kind="trend", quantity="loss_change", unit="nats", value=0, comparator="below", by=by)
    rising = [float(step) for step in range(6)]
    for other, state in ((rising[::-1], "inconclusive"), (rising, "refuted")):
        records = [
            tagged_record(f"{LORA}-s{seed}", 0, tmp_path, losses=losses) for seed, losses in enumerate((rising, other))
        ]
        assert measured.judge(claim, evidence_of(*records)).state == state


def test_test_that_decides_nothing_counts_in_holms_correction(tmp_path):
    open_one = measured.judge(claim_of(MEASURED, value=0.975), evidence_of(*seeds(LORA, 20, tmp_path)))
    assert open_one.state == "inconclusive"
    assert open_one.p_value >= 0.05
    decided = Verdict("x900-two", "confirmed", "seen", (), 0.03)
    both = {"x900-one": open_one, "x900-two": decided}
    assert correct_by_holm(both, dict.fromkeys(both, "source 900"))["x900-two"].state == "inconclusive"
    apart = correct_by_holm(both, {"x900-one": "source 900", "x900-two": "source 901"})
    assert apart["x900-two"].state == "confirmed"
    assert apart["x900-two"].says.endswith("after Holm's correction for 1 test of source 901")


def test_holm_makes_a_lone_small_p_value_of_many_inconclusive():
    many = {f"x900-{n}": Verdict(f"x900-{n}", "confirmed", "seen", (), 0.02) for n in range(5)}
    found = correct_by_holm(many, dict.fromkeys(many, "source 900"))
    assert {verdict.state for verdict in found.values()} == {"inconclusive"}
    assert "0.1 after Holm's correction for 5 tests of source 900" in found["x900-0"].says
    assert only(many["x900-0"]).state == "confirmed"


def test_claim_that_the_correction_leaves_open_says_how_many_seeds_would_close_it():
    many = {f"x900-{n}": Verdict(f"x900-{n}", "confirmed", "seen", (), 0.02, 3, "seeds", lambda n: 0.06 / n)
            for n in range(5)}  # fmt: skip
    assert correct_by_holm(many, dict.fromkeys(many, "source 900"))["x900-0"].says.endswith(
        "for 5 tests of source 900; at least 7 seeds like these would decide"  # 0.06 / 7 is below 0.05 / 5
    )
    assert "would decide" not in only(many["x900-0"]).says


def test_more_seeds_are_asked_by_the_same_two_sided_test():
    claim = claim_of(MEASURED, value=0.6, tolerance=0.1, comparator="equal")
    found = statistics.over_seeds([0.8, 0.7, 0.9]).again(5)
    assert measured.decide_state(claim, found) == ("inconclusive", pytest.approx(2 * found.p_above(0.7)))


def test_judge_all_gives_every_claim_a_verdict(tmp_path):
    claims = [claim_of(MEASURED), claim_of(MEASURED, "x900-two", value=0.99)]
    found = judge_all(claims, evidence_of(*seeds(LORA, 2, tmp_path), claims=claims))
    assert {name: verdict.state for name, verdict in found.items()} == {"x900-one": "refuted", "x900-two": "refuted"}


def test_a_claim_of_another_paper_changes_no_verdict(tmp_path):
    """As many tests of another source as would, in one family, leave the first open."""
    claim = claim_of(MEASURED, value=0.5)
    evidence = evidence_of(*[tagged_record(f"{LORA}-s{seed}", every, tmp_path) for seed, every in enumerate((4, 6, 9))])
    alone = judge_all([claim], evidence)[claim.id]
    assert alone.state == "confirmed"
    others = [replace(claim, id=f"other-{number}", source="901", value=(0.85,)) for number in range(40)]
    assert judge_all([claim, *others], evidence)[claim.id] == alone
    same = [replace(one, source="900") for one in others]
    assert judge_all([claim, *same], evidence)[claim.id].state == "inconclusive"
    apart = [replace(one, source="900", family="another question") for one in others]
    assert judge_all([claim, *apart], evidence)[claim.id] == alone
