"""Arithmetic is computed, and a planted error turns its verdict: a changed count, a changed average, a broken bound."""

import pytest
from claim_records import TABLE, claim_of, evidence_of

from bench.judge.claims.grounds import key_of
from bench.judge.claims.kinds import arithmetic, counted, structural
from bench.judge.claims.verdicts import questions_of

PARAMETERS = {
    "calculation": "parameters",
    "what": "trainable",
    "model": "bert_base",
    "method": "lora",
    "rank": 8,
    "labels": 48,
}
BERT = {**TABLE, "quantity": "trainable_parameters", "unit": "parameters", "value": 331_824, "by": PARAMETERS}
BUILT = {"trainable": 331_824, "total": 108_088_416}


def verdict(table=TABLE, others=(), **changes):
    claim = claim_of(table, **changes)
    return arithmetic.judge(claim, evidence_of(claims=[claim, *others]))


def built(claim, counts):
    return evidence_of(claims=[claim], answers={key_of(questions_of([claim])[0]): counts})


def test_average_is_computed():
    assert verdict().state == "confirmed"
    assert verdict(value=4).state == "inconsistent"


def test_inconsistency_names_both_places():
    row = claim_of(TABLE, "x900-row", where="Table 7, row 9", value=5)
    found = verdict(value=3, others=[row], by={"calculation": "average", "of": [2, "x900-row"]})
    assert found.state == "inconsistent"
    assert "source 900, Table 1, row 2 says 3 s" in found.says
    assert "source 900, Table 7, row 9" in found.says
    assert "(2 + 5 s) / 2 = 3.5 s" in found.says


@pytest.mark.parametrize(
    ("by", "unit", "quantity", "value"),
    [
        ({"calculation": "total", "of": [1, 2, 4]}, "s", "duration", 7),
        ({"calculation": "quotient", "of": [6, 4], "over": [8]}, "x", "ratio", 3),
        ({"calculation": "quotient", "of": [5], "over": [8]}, "%", "epoch_share", 62.5),
        ({"calculation": "same", "of": 2**30}, "GiB", "memory", 1),
        ({"calculation": "f1", "precision": 0.5, "recall": 1}, "fraction", "f1", 2 / 3),
        (
            {"calculation": "seqeval_f1_over_accuracy", "gold": "NN IN VB", "predicted": "IN NN VB"},
            "fraction",
            "f1_difference",
            2 / 3,
        ),
        ({"calculation": "steps", "rows": 17, "batch": 2, "accumulation": 4}, "steps", "steps", 3),
        ({"calculation": "largest_ratio", "of": [9, 8], "over": [3, 2]}, "x", "speedup", 4),
        ({"calculation": "smallest_step_down", "of": [12, 4, 2]}, "x", "speedup", 2),
        ({"calculation": "largest_step", "of": [1, 5, 3]}, "nats", "loss_change", 4),
        ({"calculation": "base_parameters", "model": "gpt2"}, "parameters", "total_parameters", 124_439_808),
        ({"calculation": "weight_bytes", "model": "llama2_7b", "bits": 16}, "bytes", "memory", 2 * 6_738_415_616),
        ({"calculation": "packed_parameters", "model": "llama2_7b"}, "parameters", "total_parameters", 3_500_412_928),
    ],
)
def test_calculations(by, unit, quantity, value):
    found = verdict(by=by, unit=unit, quantity=quantity, value=value)
    assert found.state == "confirmed", found.says
    assert verdict(by=by, unit=unit, quantity=quantity, value=value * 0.9).state != "confirmed"


def test_bound_is_four_flops_a_weight_and_token():
    by = {"calculation": "least_flops", "model": "gpt2", "rows": 10, "tokens_per_row": 3}
    least = 4 * (12 * 12 * 768**2 + 768 * 50257) * 30
    assert verdict(by=by, quantity="work", unit="FLOP", value=least).state == "confirmed"
    assert verdict(by=by, quantity="work", unit="FLOP", value=least - 1).state == "implausible"


def test_changed_count_is_refuted():
    right, changed = claim_of(BERT), claim_of(BERT, value=333_824)
    assert arithmetic.judge(right, built(right, BUILT)).state == "confirmed"
    assert arithmetic.judge(changed, built(changed, BUILT)).state == "refuted"


def test_broken_adapter_is_refuted():
    """Where peft's model has another count than the formula, nothing is confirmed."""
    claim = claim_of(BERT)
    found = arithmetic.judge(claim, built(claim, {**BUILT, "trainable": 36_912}))
    assert found.state == "refuted"
    assert "peft's model has 36,912 of 108,088,416" in found.says


def test_model_that_could_not_be_built_confirms_nothing():
    claim = claim_of(BERT)
    found = arithmetic.judge(claim, evidence_of(claims=[claim], unanswered="it crashed"))
    assert found.state == "inconclusive"
    assert "it crashed" in found.says


def test_share_and_total_follow_from_the_same_counts():
    share = claim_of(
        BERT, quantity="trainable_share", unit="%", value=0.3070, tolerance=5e-5, by={**PARAMETERS, "what": "share"}
    )
    total = claim_of(BERT, quantity="total_parameters", value=108_088_416, by={**PARAMETERS, "what": "total"})
    assert {arithmetic.judge(claim, built(claim, BUILT)).state for claim in (share, total)} == {"confirmed"}


def test_structural_verdict_follows_what_was_seen():
    look = {"look": "adapter_is_quantised", "method": "qlora"}
    claim = claim_of(TABLE, kind="structural", quantity="property", unit="yes/no", value=True, by=look)
    for seen, state in ((True, "confirmed"), (False, "refuted")):
        found = structural.judge(claim, evidence_of(claims=[claim], answers={key_of(look): seen}))
        assert found.state == state
    assert structural.judge(claim, evidence_of(claims=[claim])).state == "inconclusive"


def test_count_of_a_data_set_is_judged_by_the_census():
    by = {"count": "label", "task": "pos", "split": "train", "label": "NN"}
    claim = claim_of(TABLE, kind="counted", quantity="label_tokens", unit="tokens", value=7, by=by)
    census = {"pos": {"hub_id": "a/b", "identity": "sha256:0", "rows": {}, "labels": {"train": {"NN": 7}}}}
    assert counted.judge(claim, evidence_of(census=census)).state == "confirmed"
    census["pos"]["labels"]["train"]["NN"] = 8
    assert counted.judge(claim, evidence_of(census=census)).state == "refuted"
    missing = counted.judge(claim, evidence_of())
    assert missing.state == "not_run"
    assert "python -m bench census" in missing.says
