"""Who chose that a record is not judged: a table of situations, each a skip or a failure with one sentence."""

from dataclasses import asdict, replace

import pytest

from bench.core.case import parse_case
from bench.plugin.unjudged import in_default_run, without_metric, without_threshold, without_weights
from bench.recipes.of_case import recipe_for
from bench.records.record import Record

CASE = parse_case("pos-minilm_l6-lora-cpu-s0")
RECIPE = recipe_for(CASE)
REAL = Record(case=CASE.id, status="ok", quality_judged=True, recipe=asdict(RECIPE), recipe_digest=RECIPE.digest())
WHY = "random weights; no mirror was given; pip could not fetch it"
RANDOM = replace(
    REAL,
    quality_judged=False,
    weights={"origin": "synthetic", "identity": "synthetic"},
    reasons=["data: the sample", f"weights: {WHY}"],
)
RECIPE_DIFFERS = {"recipe": "a, now b"}


@pytest.mark.parametrize(
    ("record", "chosen"),
    [
        (RANDOM, False),  # the index is dead, or the Hub away
        (replace(RANDOM, case="pos-minilm_l6-dora-cpu-s0"), False),  # beyond the default run too
        (replace(RANDOM, weights={**RANDOM.weights, "asked_for": True}), True),  # --synthetic
        (replace(RANDOM, case="pos-tiny_bert-lora-cpu-s0"), True),
        (replace(RANDOM, case="pos-bert_base-lora-cuda-s0"), True),  # a source's model without weights
    ],
)
def test_random_weights_are_skipped_where_a_person_chose_them(record, chosen):
    assert without_weights(record).chosen is chosen


@pytest.mark.parametrize("lacking", ["quality", "quality_before"])
def test_a_record_without_the_tasks_metric_is_not_judged(lacking):
    whole = replace(REAL, quality={"f1": 0.8}, quality_before={"f1": 0.1})
    found = without_metric(replace(whole, **{lacking: {"accuracy": 0.8}}))
    assert without_metric(whole) is None
    assert (found.chosen, found.reason.split(";")[0]) == (False, "its record has no f1, which pos is judged by")


def test_missing_weights_say_what_was_found_expected_and_to_do():
    assert without_weights(RANDOM).reason == (
        f"minilm_l6 was run with random weights and is expected with its own ({WHY}); `python -m bench fetch minilm_l6` "
        "shows what fails; mend it, give --mirror DIR, or pass --allow-unjudged"
    )
    assert without_weights(REAL) is None


@pytest.mark.parametrize(
    ("record", "differences", "expected", "chosen"),
    [
        (REAL, None, True, False),  # a case of the default run that lost its threshold
        (REAL, None, False, True),  # a case that never had one
        (REAL, RECIPE_DIFFERS, True, False),
        (REAL, RECIPE_DIFFERS, False, False),  # one was measured, and it does not apply
        (REAL, {"weights": "a, now b"}, True, False),
        (REAL, {"data": "a, now b"}, True, False),
        (REAL, {"metric": "f1, now span_f1"}, True, False),
        (replace(REAL, recipe={**REAL.recipe, "max_steps": 3}), RECIPE_DIFFERS, True, True),
        (replace(REAL, recipe={**REAL.recipe, "engine": "trainer"}), RECIPE_DIFFERS, True, True),
        (replace(REAL, recipe={**REAL.recipe, "max_steps": 3}), {"weights": "a, now b"}, True, False),
        (replace(REAL, recipe={**REAL.recipe, "rank": 3}), RECIPE_DIFFERS, True, False),  # no option does that
        (replace(REAL, recipe={**REAL.recipe, "rank": 3, "max_steps": 3}), RECIPE_DIFFERS, True, False),  # not alone
        (replace(REAL, recipe={**REAL.recipe, "max_steps": 3}), RECIPE_DIFFERS | {"weights": "a, now b"}, True, False),
        (replace(REAL, recipe={**REAL.recipe, "max_steps": 3}), RECIPE_DIFFERS | {"metric": "f1, now g"}, True, False),
    ],
)
def test_a_record_without_its_threshold_fails_unless_a_person_chose_it(record, differences, expected, chosen):
    assert without_threshold(record, differences, expected).chosen is chosen


def test_a_threshold_that_applies_judges():
    assert without_threshold(REAL, {}, True) is None


@pytest.mark.parametrize(
    ("record", "differences", "expected", "says"),
    [
        (REAL, None, False, "no threshold was measured for pos-minilm_l6-lora-cpu-sample"),
        (REAL, None, True, "no threshold was measured for pos-minilm_l6-lora-cpu-sample; measure several seeds and write it, or pass --allow-unjudged"),
        (REAL, {"weights": "a from package, now b from mirror"}, True, "the threshold of pos-minilm_l6-lora-cpu-sample does not apply: weights differ (a from package, now b from mirror); if the change is meant, measure it anew on several seeds, or pass --allow-unjudged"),
        (replace(REAL, recipe={**REAL.recipe, "max_steps": 3}), RECIPE_DIFFERS | {"weights": "a, now b"}, True, "the threshold of pos-minilm_l6-lora-cpu-sample does not apply: recipe differs (a, now b); weights differ (a, now b); if the change is meant, measure it anew on several seeds, or pass --allow-unjudged"),
        (replace(REAL, recipe={**REAL.recipe, "max_steps": 3}), RECIPE_DIFFERS, True, "the threshold of pos-minilm_l6-lora-cpu-sample holds without --max-steps 3 only"),
    ],
)  # fmt: skip
def test_the_reason_is_one_sentence(record, differences, expected, says):
    assert without_threshold(record, differences, expected).reason == says


@pytest.mark.parametrize(
    ("name", "size", "own", "expected"),
    [
        ("pos-minilm_l6-lora-cpu-s0", "sample", (), True),
        ("pos-minilm_l6-lora-cpu-s7", "sample", (), True),
        ("support-smollm2_135m-lora-cpu-s0", "sample", (), True),
        ("pos-minilm_l6-lora-cpu-s0", "full", (), False),  # a mirror is given
        ("pos-minilm_l6-lora-cuda-s0", "sample", (), False),  # thresholds are measured on processors
        ("support-smollm2_135m-dora-cpu-s0", "sample", (), False),  # -m slow
        ("numbers-smollm2_135m-lora_all-cpu-s0", "sample", (), False),  # named
        ("pos-tiny_bert-lora-cpu-s0", "sample", (), False),
        ("pos-minilm_l6-lora-cpu-s0", "sample", ("lora",), False),  # a person's own
    ],
)
def test_the_default_run_is_what_every_machine_runs(name, size, own, expected):
    assert in_default_run(parse_case(name), size, frozenset(own)) is expected
