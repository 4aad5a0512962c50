"""A claim's table is read strictly: every refusal names file, id and key."""

import pytest
from claim_records import BOOK, MEASURED, PROTOCOL, TABLE, claim_of

from bench.core.files import BadFile
from bench.judge.claims.book import read_claims, read_file
from bench.judge.claims.calculations import CALCULATIONS
from bench.judge.claims.claim import parse_claim
from bench.judge.claims.verdicts import KINDS
from bench.judge.claims.vocabulary import difference_of
from bench.records.figures import FIGURES

MINIMAL = """source = "900"
title = "a paper"

[x900-one]
where = "Table 1"
says = "The average is 3"
kind = "arithmetic"
quantity = "duration"
value = 3
unit = "s"
comparator = "equal"
protocol = { task = "none", model = "none", method = "none", data = "unstated", recipe = "unstated", device = "unstated", seeds = "unstated" }
tolerance = 0
tolerance_reason = "exact"
by = { calculation = "average", of = [2, 4] }
expected = "confirmed"
evidence = "computed"
"""


def refusal(table, **changes):
    with pytest.raises(BadFile) as raised:
        parse_and_check({**table, **changes})
    return str(raised.value)


def parse_and_check(table):
    claim = parse_claim("x900-one", table, BOOK, "paper.toml")
    KINDS[claim.kind].check(claim, {claim.id: claim})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"vlaue": 3}, "paper.toml [x900-one]: 'vlaue' is no key of a claim; did you mean value?"),
        ({"unit": "GB"}, "paper.toml [x900-one]: unit: 'GB' does not fit duration, which takes 's', 'min' or 'h'"),
        ({"unit": "sec"}, "paper.toml [x900-one]: unit: 'sec' is unknown"),
        ({"quantity": "durations"}, "paper.toml [x900-one]: quantity: 'durations' is unknown; did you mean duration"),
        ({"value": "three"}, "paper.toml [x900-one]: value: 'three' must be one finite number for equal"),
        ({"value": float("nan")}, "paper.toml [x900-one]: value: nan must be one finite number"),
        ({"comparator": "is"}, "paper.toml [x900-one]: comparator: 'is' must be one of equal"),
        ({"comparator": "between"}, "paper.toml [x900-one]: value: 3 must be two finite numbers for between"),
        ({"tolerance": -1}, "paper.toml [x900-one]: tolerance: -1 must be a finite number of at least 0"),
        ({"tolerance": True}, "paper.toml [x900-one]: tolerance: True must be int or float, not bool"),
        (
            {"quantity": "count", "unit": "sentences"},
            "paper.toml [x900-one]: unit: 'sentences' is unknown; count takes 'in all'",
        ),
        (
            {"quantity": "memory", "unit": "KB"},
            "paper.toml [x900-one]: unit: 'KB' is unknown; memory takes 'bytes', 'kB', 'KiB', 'MB', 'MiB', 'GB', 'GiB' "
            "or 'TB'; kB is 1,000 bytes, and KiB is 1,024",
        ),
        (
            {"expected": "true"},
            "paper.toml [x900-one]: expected: 'true' must be one of confirmed, refuted, inconsistent, implausible, "
            "possible, inconclusive, not_run",
        ),
        ({"says": ""}, "paper.toml [x900-one]: says: is empty"),
        ({"protocol": "owm"}, "paper.toml [x900-one]: protocol: 'owm' is unknown; did you mean own?"),
        ({"protocol": {**PROTOCOL, "model": "bert"}}, "paper.toml [x900-one]: protocol.model: no model named 'bert'"),
        (
            {"protocol": {**PROTOCOL, "method": "lroa"}},
            "paper.toml [x900-one]: protocol.method: no method named 'lroa'",
        ),
        (
            {"protocol": {**PROTOCOL, "method": "loha"}},
            "paper.toml [x900-one]: protocol.method: no method named 'loha'; did you mean lora, qlora, olora? "
            "'none' stands for a method that this project lacks; name it in recipe",
        ),
        ({"protocol": {**PROTOCOL, "task": "po"}}, "paper.toml [x900-one]: protocol.task: no task named 'po'"),
        ({"protocol": {**PROTOCOL, "seed": "1"}}, "paper.toml [x900-one]: protocol: 'seed' is unknown; did you mean"),
        ({"protocol": {"task": "pos"}}, "paper.toml [x900-one]: protocol: lacks model, method"),
        ({"by": {"calculation": "mean", "of": [2]}}, "paper.toml [x900-one]: by.calculation: 'mean' is unknown"),
        (
            {"by": {"calculation": "zzz", "of": [2]}},
            "paper.toml [x900-one]: by.calculation: 'zzz' is unknown; there are average, total, quotient, "
            "ratio_of_averages, same, part_of, f1, seqeval_f1_over_accuracy "
            f"and {len(CALCULATIONS) - 7} more; python -m bench list calculations lists them with their keys",
        ),
        ({"by": {}}, "paper.toml [x900-one]: by.calculation: is missing; there are average"),
        ({"by": {"calculation": "average"}}, "paper.toml [x900-one]: by: average lacks of"),
        ({"by": {"calculation": "average", "of": []}}, "paper.toml [x900-one]: by.of: [] must be a list"),
        ({"by": {"calculation": "average", "of": ["x900-two"]}}, "paper.toml [x900-one]: by.of: 'x900-two' is unknown"),
        ({"by": {"calculation": "average", "of": [True]}}, "paper.toml [x900-one]: by.of: True must be a number"),
        ({"by": {"calculation": "average", "of": [1], "over": 2}}, "paper.toml [x900-one]: by: 'over' is unknown"),
        (
            {"by": {"calculation": "least_flops", "model": "gpt3", "rows": 1, "tokens_per_row": 1}},
            "paper.toml [x900-one]: by.model: no model named 'gpt3'",
        ),
    ],
)
def test_mistake_in_a_claim_is_refused_with_file_id_and_key(changes, says):
    assert refusal(TABLE, **changes).startswith(says)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"figure": "f2"}, "paper.toml [x900-one]: by.figure: 'f2' is unknown; did you mean"),
        (
            {"figure": "zzz"},
            "paper.toml [x900-one]: by.figure: 'zzz' is unknown; there are f1, accuracy, macro_f1, seqeval_f1, "
            "seqeval_precision, seqeval_recall, loss, token_accuracy "
            f"and {len(FIGURES) - 8} more; python -m bench list figures lists them all",
        ),
        ({"figure": "peak_bytes"}, "paper.toml [x900-one]: by.figure: peak_bytes does not fit f1"),
        ({"case": "pos-minilm-lora-cpu"}, "paper.toml [x900-one]: by.case: no model named 'minilm'"),
        ({"case": "pos-minilm_l6-lora"}, "paper.toml [x900-one]: by.case: 'pos-minilm_l6-lora' is not a case id"),
        (
            {"case": "pos-bert_base-lora-cuda"},
            "paper.toml [x900-one]: by.case: runs bert_base, but the protocol's model is minilm_l6; protocol.model names "
            "the model that runs, and stand_in_for the source's",
        ),
        ({"data": "all"}, "paper.toml [x900-one]: by.data: 'all' is unknown; did you mean full?"),
        ({"seeds": 1}, "paper.toml [x900-one]: by.seeds: must be at least 2, for quality differs between seeds"),
        ({"seeds": 0, "one_seed": True}, "paper.toml [x900-one]: by.seeds: must be at least 1"),
        ({"seeds": "3"}, "paper.toml [x900-one]: by.seeds: '3' must be int, not str"),
    ],
)
def test_mistake_in_what_measures_is_refused(changes, says):
    assert refusal(MEASURED, by={**MEASURED["by"], **changes}).startswith(says)


def test_direction_needs_something_to_compare_with():
    assert "lacks against" in refusal(MEASURED, kind="direction")


def test_comparison_of_two_cases_is_of_a_difference_or_a_ratio():
    """Taken as a figure of one case, LoRA's -0.3 GB beside full would be "below 12 GB"."""
    by = {"case": "pos-minilm_l6-lora-cpu", "against": "pos-minilm_l6-full-cpu", "figure": "allocated_bytes",
          "data": "sample", "seeds": 1}  # fmt: skip
    table = {**MEASURED, "kind": "direction", "quantity": "memory", "value": 12, "unit": "GB", "comparator": "below"}
    says = "quantity: memory is of one case, and by compares two; make it a claim of memory_difference, or of a ratio"
    assert says in refusal(table, by=by)
    parse_and_check({**table, "quantity": "memory_difference", "value": 0, "by": by})
    parse_and_check({**table, "quantity": "ratio", "unit": "x", "value": 1, "by": by})
    alone = {key: value for key, value in by.items() if key != "against"}
    says = "by: lacks against or against_figure, of which memory_difference is the difference"
    assert says in refusal(table, kind="threshold", quantity="memory_difference", by=alone)


@pytest.mark.parametrize(
    ("quantity", "difference"),
    [
        ("memory", "memory_difference"),
        ("seconds_per_step", "duration_difference"),
        ("loss_change", "loss_difference"),
        ("token_accuracy", "token_accuracy_difference"),
        ("trainable_share", "share_difference"),
        ("steps", ""),
    ],
)
def test_each_quantity_knows_its_difference(quantity, difference):
    assert difference_of(quantity) == difference


def test_stand_in_must_say_whose():
    without = {key: value for key, value in MEASURED.items() if key != "stand_in_for"}
    assert "minilm_l6 is no source's model; say which it stands in for" in refusal(without)
    assert "cannot stand in for itself" in refusal(MEASURED, stand_in_for="minilm_l6")


def test_look_and_count_are_checked():
    look = {"kind": "structural", "quantity": "property", "value": True, "unit": "yes/no"}
    assert "by.look: is missing; there are base_is_quantised" in refusal(TABLE, **look, by={})
    assert "by.look: 'rank' is unknown" in refusal(TABLE, **look, by={"look": "rank", "method": "lora"})
    assert "by.method: no method named 'lroa'" in refusal(TABLE, **look, by={"look": "rank_adapts", "method": "lroa"})
    count = {"kind": "counted", "quantity": "rows", "unit": "rows"}
    assert "by.count: is missing; there are rows, label" in refusal(TABLE, **count, by={})
    assert "by.split: 'dev' is unknown" in refusal(TABLE, **count, by={"count": "rows", "task": "pos", "split": "dev"})


def test_value_is_kept_in_base_units_and_shown_in_its_own():
    claim = claim_of(TABLE, value=12.5, unit="min", tolerance=1)
    assert claim.value == (750.0,)
    assert claim.tolerance == 60
    assert claim.shown_value() == "12.5 min"


def test_one_table_adds_a_claim(tmp_path):
    (tmp_path / "paper.toml").write_text(MINIMAL, encoding="utf-8")
    claims = read_claims(tmp_path)
    assert list(claims) == ["x900-one"]
    assert claims["x900-one"].protocol.recipe == "unstated"


def test_file_without_source_and_unknown_kind_are_refused(tmp_path):
    path = tmp_path / "paper.toml"
    path.write_text(MINIMAL.replace('source = "900"', ""), encoding="utf-8")
    with pytest.raises(BadFile, match="paper.toml: source must be text"):
        read_file(path)
    path.write_text(MINIMAL.replace('"arithmetic"', '"arithmetics"'), encoding="utf-8")
    with pytest.raises(BadFile, match=r"paper.toml \[x900-one\]: kind: 'arithmetics' must be one of arithmetic"):
        read_file(path)


def test_id_in_two_files_is_refused(tmp_path):
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text(MINIMAL, encoding="utf-8")
    with pytest.raises(BadFile, match=r"b.toml \[x900-one\]: this id stands in a.toml too"):
        read_claims(tmp_path)


def test_broken_toml_names_file_and_line(tmp_path):
    (tmp_path / "paper.toml").write_text(MINIMAL + "\n[x900-two\n", encoding="utf-8")
    with pytest.raises(BadFile, match="paper.toml: .*line 19"):
        read_claims(tmp_path)
