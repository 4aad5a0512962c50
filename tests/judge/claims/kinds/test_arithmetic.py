"""Arithmetic is computed, and a planted error turns its verdict: a changed count, a changed average, a broken bound."""

import pytest
from claim_records import PROTOCOL, TABLE, claim_of, evidence_of

from bench.core.files import BadFile
from bench.judge.claims.grounds import key_of
from bench.judge.claims.kinds import arithmetic, counted, structural
from bench.judge.claims.verdicts import questions_of

PARAMETERS = {
    "calculation": "parameters",
    "what": "trainable",
    "model": "bert_base",
    "method": "lora",
    "rank": 8,
    "targets": ["query", "value"],
    "labels": 48,
}
OWN = {**PROTOCOL, "model": "bert_base"}
BERT = {
    **TABLE,
    "protocol": OWN,
    "quantity": "trainable_parameters",
    "unit": "parameters",
    "value": 331_824,
    "by": PARAMETERS,
}
BUILT = {"trainable": 331_824, "total": 108_088_416, "adapter": 294_912}
NOBODY = {**PROTOCOL, "model": "none", "method": "none", "task": "none"}


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
    assert found.says.endswith("(2 + 5 s) / 2 = 3.5 s; its figures: 5 s (Table 7, row 9)")


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
        ({"calculation": "largest_step", "of": [1, 0.2, 1.1]}, "nats", "loss_change", -0.8),
        ({"calculation": "largest_rise", "of": [1, 0.2, 1.1]}, "nats", "loss_change", 0.1),
        ({"calculation": "ratio_of_averages", "of": [9, 7], "over": [1, 3]}, "x", "speedup", 4),
        ({"calculation": "base_parameters", "model": "gpt2"}, "parameters", "total_parameters", 124_439_808),
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
    assert verdict(by=by, quantity="work", unit="FLOP", value=least).state == "possible"
    assert verdict(by=by, quantity="work", unit="FLOP", value=least - 1).state == "implausible"


BYTES = {"calculation": "weight_bytes", "model": "llama2_7b", "bits": 16}
WEIGHTS = 2 * 6_738_415_616 / 1e9


@pytest.mark.parametrize(
    ("comparator", "value", "state"),
    [
        ("equal", 999, "possible"),
        ("equal", 13, "implausible"),
        ("at_most", 13, "implausible"),
        ("at_most", 14, "possible"),
        ("below", WEIGHTS, "implausible"),
        ("above", 13, "confirmed"),
        ("above", 14, "possible"),
        ("at_least", WEIGHTS, "confirmed"),
        ("between", [1, 13], "implausible"),
        ("between", [13, 20], "possible"),
    ],
)
def test_a_bound_confirms_only_what_it_proves(comparator, value, state):
    found = verdict(by=BYTES, quantity="memory", unit="GB", comparator=comparator, value=value)
    assert found.state == state, found.says
    assert "it cannot be below (6,476,005,376 weights in llama2_7b's linear layers × 16 bits" in found.says


def test_weights_that_all_train_have_gradients_too():
    by = {**BYTES, "gradients": True}
    assert verdict(by=by, quantity="memory", unit="GB", value=23.1).state == "implausible"
    assert verdict(by=by, quantity="memory", unit="GB", value=27).state == "possible"


def test_a_part_and_a_part_of_the_parameters_have_upper_bounds():
    by = {"calculation": "most_parameters", "model": "llama2_7b"}
    of = {"quantity": "trainable_parameters", "unit": "billion parameters", "by": by}
    assert verdict(**of, value=45.6).state == "implausible"
    assert verdict(**of, value=0.04).state == "possible"
    part = {"calculation": "part_of", "of": 12.7e9}
    assert verdict(by=part, quantity="memory", unit="GB", value=8.7).state == "possible"
    assert verdict(by=part, quantity="memory", unit="GB", value=13).state == "inconsistent"


def test_what_agrees_with_an_inferred_figure_is_only_possible():
    batch = {"value": 64, "unit": "rows", "where": "nowhere", "inferred": True}
    seconds = {"value": 2, "unit": "s", "where": "Table 2"}
    by = {"calculation": "quotient", "of": [batch], "over": [seconds]}
    found = verdict(by=by, quantity="sample_rate", unit="samples/s", value=32)
    assert found.state == "possible"
    assert found.says.endswith("64 rows / 2 s = 32 samples/s; its figures: 64 rows (nowhere, inferred), 2 s (Table 2)")
    assert verdict(by=by, quantity="sample_rate", unit="samples/s", value=31).state == "inconclusive"


def test_changed_count_is_refuted():
    right, changed = claim_of(BERT), claim_of(BERT, value=333_824)
    assert arithmetic.judge(right, built(right, BUILT)).state == "confirmed"
    assert arithmetic.judge(changed, built(changed, BUILT)).state == "refuted"


@pytest.mark.parametrize("value", [331_824, 333_824])
def test_formula_and_model_that_disagree_are_an_error_and_no_verdict_on_the_source(value):
    claim = claim_of(BERT, value=value)
    found = arithmetic.judge(claim, built(claim, {**BUILT, "trainable": 36_912}))
    assert found.state == "error"
    assert found.says.endswith(
        "an error of this project, which says nothing of the source: peft's model has trainable 36,912, by formula 331,824"
    )


def test_an_adapter_is_counted_alone():
    by = {key: value for key, value in PARAMETERS.items() if key != "labels"} | {"alone": True}
    claim = claim_of(BERT, value=294_912, by=by)
    assert arithmetic.judge(claim, built(claim, BUILT)).state == "confirmed"


@pytest.mark.parametrize(
    ("method", "sizes", "count", "term"),
    [
        ("vera", {"rank": 256}, 24 * (256 + 768), "24 × (256 + 768)"),
        ("adalora", {"initial_rank": 12}, 24 * 12 * (768 + 768 + 1), "24 × 12 × (768 + 768 + 1)"),
        ("dora", {"rank": 4}, 24 * (4 * 1536 + 768), "24 × (4 × (768 + 768) + 768)"),
        ("prefix", {"virtual_tokens": 20}, 20 * 12 * 2 * 768, "20 tokens × 12 layers × 2 × 768"),
        ("prompt", {"virtual_tokens": 20}, 20 * 768, "20 tokens × 768"),
        ("ia3", {}, 24 * 768, "24 × 768"),
    ],
)
def test_sizes_mean_what_the_method_says(method, sizes, count, term):
    by = {
        "calculation": "parameters",
        "what": "trainable",
        "model": "bert_base",
        "method": method,
        "alone": True,
        **sizes,
    }
    if method not in ("prefix", "prompt"):
        by["targets"] = ["query", "value"]
    claim = claim_of(BERT, protocol={**OWN, "method": method}, value=count, by=by)
    arithmetic.check(claim, {})
    found = arithmetic.judge(claim, built(claim, {"adapter": count}))
    assert found.state == "confirmed", found.says
    assert f"{term} = {count:,} parameters" in found.says


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"labels": 0},
            "by.labels: bert_base is an encoder, whose classifier counts; give its labels, or alone = true",
        ),
        ({"model": "gpt2", "targets": ["c_attn"]}, "by.labels: gpt2 is a decoder and has no classifier here"),
        ({"targets": "all"}, "by.targets: 'all' must be a list of modules or 'default'"),
        ({"targets": ["qery"]}, "by.targets: bert_base has no module 'qery' to adapt"),
        ({"targets": None}, "by: lacks targets: modules such as query, value, or 'default' for lora's own"),
        ({"method": "vera", "rank": 40}, "by.rank: 40 is of the shared matrices and must be a multiple of 16"),
        ({"method": "adalora"}, "by.rank: adalora's count does not depend on it; give initial_rank"),
        ({"method": "adalora", "rank": None}, "by: lacks initial_rank, on which adalora's count depends"),
        ({"method": "ia3"}, "by.rank: ia3's count does not depend on it; leave it out"),
        ({"alone": True, "what": "total"}, 'by.alone: is for what = "trainable" of a method with an adapter'),
        ({"rank": 0}, "by.rank: 0 must be at least 1"),
        ({"inferred": ["alpha"]}, "by.inferred: 'alpha' is unknown"),
    ],
)
def test_mistake_in_a_count_of_parameters_is_refused(changes, says):
    by = {key: value for key, value in {**PARAMETERS, **changes}.items() if value is not None}
    claim = claim_of(BERT, protocol=NOBODY, by=by)
    with pytest.raises(BadFile) as raised:
        arithmetic.check(claim, {})
    assert str(raised.value).startswith(f"paper.toml [x900-one]: {says}")


SECONDS = claim_of(TABLE, "x900-seconds", value=463.88)
F1 = {"quantity": "f1", "unit": "fraction", "value": 0.9}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({**F1, "by": {"calculation": "same", "of": "x900-seconds"}}, "by.calculation: gives time, and f1 is in fraction"),
        ({**F1, "by": {"calculation": "f1", "precision": "x900-seconds", "recall": 1}},
         "by.precision: is in time, and must be in fraction"),
        ({"by": {"calculation": "f1", "precision": 1, "recall": 1}}, "by.calculation: gives fraction, and duration is in time"),
        ({"by": {"calculation": "quotient", "of": ["x900-seconds"], "over": ["x900-seconds"]}},
         "by.of: over by.over is a number, and duration is in time"),
        ({"by": {"calculation": "average", "of": ["x900-seconds", "x900-f1"]}}, "by.of: mixes time and fraction"),
        ({"by": {"calculation": "same", "of": "x900-one"}},
         "by.of: the claim cites itself; one contradiction would count twice"),
        ({"by": {"calculation": "same", "of": "x900-again"}}, "by.of: the claim cites x900-again, which cites it again"),
        ({"by": {"calculation": "quotient", "of": [1], "over": [0]}},
         "by.over: holds a 0, by which nothing can be divided"),
        ({"quantity": "speedup", "unit": "x", "by": {"calculation": "largest_ratio", "of": [1, 2], "over": [1]}},
         "by.over: is 1 long, and of is 2 long; they must be pairs"),
        ({"by": {"calculation": "largest_step", "of": [1]}}, "by.of: 1 figure is no row; give at least 2"),
        ({"quantity": "speedup", "unit": "x", "by": {"calculation": "smallest_step_down", "of": [3]}}, "by.of: 1 figure is no row; give at least 2"),
        ({**F1, "by": {"calculation": "f1", "precision": 0, "recall": 0}},
         "by.precision: and recall are both 0, of which there is no harmonic mean"),
        ({**F1, "by": {"calculation": "seqeval_f1_over_accuracy", "gold": "NN", "predicted": "NN IN"}},
         "by.predicted: has 2 tags for 1 words of gold"),
        ({"quantity": "memory", "unit": "GB", "by": {"calculation": "weight_bytes", "model": "minilm_l6", "bits": 0}},
         "by.bits: 0 must be at least 1"),
        ({"quantity": "memory", "unit": "GB", "by": {"calculation": "weight_bytes", "model": "minilm_l6", "bits": 65}},
         "by.bits: 65 must be from 1 to 64"),
        ({"quantity": "memory", "unit": "GB", "by": {"calculation": "weight_bytes", "model": "minilm_l6", "bits": 4, "constants_bits": -1}},
         "by.constants_bits: -1 must be at least 0"),
        ({"quantity": "memory", "unit": "GB", "by": {"calculation": "weight_bytes", "model": "minilm_l6", "bits": 4, "constants_bits": {"value": 4, "unit": "GB", "where": "here"}}},
         "by.constants_bits: is in bytes, and must be in bits"),
        ({"quantity": "memory", "unit": "GB", "by": {"calculation": "weight_bytes", "model": "gpt2", "bits": 4}},
         "by.model: 'gpt2' is not the protocol's, which is 'minilm_l6'"),
        ({"by": {"calculation": "same", "of": {"value": 3, "unit": "s"}}}, "by.of: lacks where"),
        ({"by": {"calculation": "same", "of": {"value": 3, "unit": "sec", "where": "here"}}}, "by.of.unit: 'sec' is unknown"),
        ({"by": {"calculation": "same", "of": {"value": "3", "unit": "s", "where": "here"}}},
         "by.of.value: '3' must be int or float"),
    ],
)  # fmt: skip
def test_what_cannot_be_computed_is_refused_in_one_sentence(changes, says):
    claim = claim_of(TABLE, **changes)
    again = claim_of(TABLE, "x900-again", by={"calculation": "same", "of": "x900-one"})
    others = [claim, SECONDS, again, claim_of(TABLE, "x900-f1", **F1)]
    with pytest.raises(BadFile) as raised:
        arithmetic.check(claim, {one.id: one for one in others})
    assert str(raised.value).startswith(f"paper.toml [x900-one]: {says}")
    assert "\n" not in str(raised.value)


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
