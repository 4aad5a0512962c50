"""Does each method keep its promises: on every case, by evidence taken before, during and after training."""

import pytest

from bench.core.case import Case
from bench.methods import METHODS, Method
from bench.methods.tolerances import reload_tolerance, rounding_tolerance, start_tolerance
from bench.models import DECODER, MODELS
from bench.records.record import Record

UPGRADE = "does this version of peft, transformers or torch do it differently?"
OLD_RECORD = "the record predates this check; run the case again"


@pytest.fixture
def method(case: Case) -> Method:
    return METHODS[case.method]


def starts_as_base(case: Case) -> bool:
    return METHODS[case.method].identity_at_start


def merges(case: Case) -> bool:
    return METHODS[case.method].mergeable


def generates(case: Case) -> bool:
    return MODELS[case.model].kind == DECODER


def can_be_switched_off(case: Case) -> bool:
    """A method that moves a part of the base into the adapter does not leave the base when it is switched off."""
    return METHODS[case.method].is_adapter and METHODS[case.method].disable_gives_base


def prunes(case: Case) -> bool:
    return METHODS[case.method].prunes


@pytest.mark.cases(wanted=starts_as_base)
def test_starts_as_base(case: Case, method: Method, record: Record) -> None:
    """Attached and untrained, the adapter leaves the base's logits as they were."""
    seen = record.evidence
    allowed = start_tolerance(
        method, MODELS[case.model], record.recipe["precision"], seen.get("rounding_distance", 0.0)
    )
    assert seen["start_distance"] <= allowed, (
        f"with the untrained adapter the logits differ from the base's by {seen['start_distance']:.3g}, relative to "
        f"their norm; at most {allowed:.3g} is expected, because {method.name} starts as the base; is its "
        f"initialisation no longer zero? {UPGRADE}"
    )


def test_base_is_frozen(method: Method, record: Record) -> None:
    """Not a bit of a frozen weight changes in training, nor in attaching where the method promises that."""
    base = record.evidence["base"]
    assert base["changed"] == 0, (
        f"training changed {base['changed']} of the base's frozen tensors; expected 0; does an optimizer or a merge "
        f"write to the base's weights? {UPGRADE}"
    )
    if method.keeps_base:
        changed = record.evidence["base_changed_by_attaching"]
        assert changed == 0, (
            f"attaching the adapter changed {changed} of the base's tensors; expected 0, because {method.name} keeps "
            f"the base as loaded; {UPGRADE}"
        )


def test_training_happened(record: Record) -> None:
    """Every tensor that trains changed, and got a gradient that is not zero."""
    trained = record.evidence["trained"]
    still = [name for name in trained["unchanged"] if name not in unmoved(record)]
    assert trained["changed"] == trained["tensors"] - len(unmoved(record)), (
        f"{trained['changed']} of {trained['tensors']} trained tensors changed; these did not: "
        f"{', '.join(still) or 'the record does not name them'}; are they in the optimizer, and does the loss depend "
        "on them?"
    )
    without = record.evidence["trained_without_gradient"]
    assert without == 0, f"{without} trained tensors got no gradient, or only zeros; does the loss depend on them?"


def test_dropout_acts_in_training_alone(record: Record) -> None:
    """Two forward passes of the same examples differ in training where the recipe drops, and never in evaluation."""
    seen = record.evidence
    if "training_passes_distance" not in seen:
        pytest.skip(OLD_RECORD)
    apart, rate = seen["training_passes_distance"], record.recipe["dropout"]
    assert (apart > 0) == (rate > 0), (
        f"dropout = {rate} and two forward passes in training mode differ by {apart}: the recipe's dropout "
        + ("does not reach the model" if rate else "is not the only one that acts")
    )
    evaluated = seen["evaluation_passes_distance"]
    assert evaluated == 0, (
        f"two forward passes of the same examples differ by {evaluated} in evaluation; expected 0: dropout acts there "
        "too, or something else is random"
    )


def unmoved(record: Record) -> list[str]:
    """Tensors that no gradient can reach: attention is blind to a key's bias, which shifts all scores alike."""
    blind = MODELS[record.parsed_case().model].family.blind_biases
    return [name for name in record.evidence["trained"]["unchanged"] if name.endswith(blind)]


def test_reads_back(case: Case, method: Method, record: Record) -> None:
    """Saved, and read onto a fresh base, it gives the same logits."""
    seen = record.evidence["reload_distance"]
    allowed = reload_tolerance(method, MODELS[case.model], record.recipe["precision"])
    assert seen <= allowed, (
        f"read back onto a fresh base, the saved adapter gives logits that differ by {seen:.3g}, relative to their "
        f"norm; at most {allowed:.3g} is expected; are weights missing from the file, or read under other names? "
        f"{UPGRADE}"
    )


@pytest.mark.cases(wanted=merges)
def test_merge_keeps_logits(case: Case, method: Method, record: Record) -> None:
    """Merged into the base's weights it gives the same logits."""
    seen = record.evidence
    if "merge_not_checked" in seen:
        pytest.skip(seen["merge_not_checked"])
    allowed = rounding_tolerance(method, MODELS[case.model], *roundings(record))
    assert seen["merge_distance"] <= allowed, (
        f"merged into the base, the adapter gives logits that differ by {seen['merge_distance']:.3g}, relative to "
        f"their norm; rounding explains at most {allowed:.3g}; is the adapter merged with another scale, or into the "
        f"wrong weights? {UPGRADE}"
    )


@pytest.mark.cases(wanted=generates)
def test_generates_what_it_reads(case: Case, method: Method, record: Record, replayed: bool) -> None:
    """Generating token by token with a cache gives the logits of reading all tokens at once."""
    seen = record.evidence
    if "generation_distance" not in seen:
        assert replayed, "the record lacks generation_distance, which every case of a decoder measures"
        pytest.skip(OLD_RECORD)
    allowed = rounding_tolerance(method, MODELS[case.model], *roundings(record))
    assert seen["generation_distance"] <= allowed, (
        f"the logits of generating token by token differ from those of reading the same tokens at once by "
        f"{seen['generation_distance']:.3g}, relative to their norm; rounding explains at most {allowed:.3g}; is the "
        f"cache, or what the method puts in front of it, lost? {UPGRADE}"
    )


def roundings(record: Record) -> tuple[str, str, float]:
    """The precisions of base and adapter, and what one more rounding of every weight did to the logits."""
    kept = record.recipe.get("adapter_precision", "float32")  # older records have no such field
    return record.recipe["precision"], kept, record.evidence.get("rounding_distance", 0.0)


@pytest.mark.cases(wanted=can_be_switched_off)
def test_off_gives_base(method: Method, record: Record) -> None:
    """Switched off, the adapter is as if it were not there."""
    seen = record.evidence["off_distance"]
    assert seen == 0, (
        f"with {method.name} switched off, the logits differ from the base's by {seen:.3g}, relative to their norm; "
        f"expected 0; does the adapter still act, or was the base changed? {UPGRADE}"
    )


@pytest.mark.cases(wanted=prunes)
def test_rank_schedule_ran(record: Record) -> None:
    """The method ends at its budget of ranks, and spends it unevenly."""
    seen, rank = record.evidence, record.recipe["rank"]
    budget = seen["adapted_layers"] * rank
    assert seen["rank_total"] == budget, (
        f"after training the ranks sum to {seen['rank_total']}; the budget is {budget}, {rank} for each of "
        f"{seen['adapted_layers']} layers; did the schedule run to its end?"
    )
    assert seen["rank_smallest"] < rank < seen["rank_largest"], (
        f"ranks reach from {seen['rank_smallest']} to {seen['rank_largest']}; some are expected below and some above "
        f"{rank}; did no layer lose or gain a rank?"
    )
