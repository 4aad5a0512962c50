"""Does each method keep its promises: on every case, by evidence taken before, during and after training."""

import pytest

from bench.core.case import Case
from bench.methods import METHODS, Method
from bench.methods.tolerances import (
    PACKED_MERGE,
    PACKED_MERGE_FACTOR,
    TWO_MERGED,
    formula_tolerance,
    reload_tolerance,
    rounding_tolerance,
    start_tolerance,
    unmerge_tolerance,
)
from bench.models import DECODER, MODELS
from bench.models.shapes import is_rebuilt_at_once
from bench.records.record import Record

PADDED = {
    "batch_distance": "in a batch with another row",
    "right_padding_distance": "padded on the right",
    "left_padding_distance": "padded on the left",
    "left_padded_generation_distance": "padded on the left, of the next token that is generated",
}
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


def has_formula(case: Case) -> bool:
    return METHODS[case.method].formula is not None


def is_rebuilt(case: Case) -> bool:
    return is_rebuilt_at_once(MODELS[case.model])


def takes_second_adapter(case: Case) -> bool:
    return is_rebuilt(case) and METHODS[case.method].is_adapter and not METHODS[case.method].alone


def adds_up(case: Case) -> bool:
    return is_rebuilt(case) and METHODS[case.method].adds_up(MODELS[case.model])


def merges_packed(case: Case) -> bool:
    return is_rebuilt(case) and merges(case) and has_formula(case) and METHODS[case.method].quantised


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


def test_optimizer_states_are_as_asked(record: Record, replayed: bool) -> None:
    """An optimizer in 8 bits keeps the states of every large tensor so, and any other optimizer of none."""
    skip_if_older(record, "states_in_8_bits", replayed)
    seen, asked = record.evidence["states_in_8_bits"], record.recipe["optimizer"].endswith("8bit")
    expected = record.evidence["large_trained_tensors"] if asked else 0
    assert seen == expected, (
        f"{record.recipe['optimizer']} keeps the states of {seen} trained tensors in 8 bits; expected {expected}: "
        f"{'all of at least 4,096 numbers' if asked else 'none'}; does bitsandbytes store them otherwise? {UPGRADE}"
    )


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
    skip_if_older(record, "generation_distance", replayed)
    allowed = rounding_tolerance(method, MODELS[case.model], *roundings(record))
    assert seen["generation_distance"] <= allowed, (
        f"the logits of generating token by token differ from those of reading the same tokens at once by "
        f"{seen['generation_distance']:.3g}, relative to their norm; rounding explains at most {allowed:.3g}; is the "
        f"cache, or what the method puts in front of it, lost? {UPGRADE}"
    )


def skip_if_older(record: Record, name: str, replayed: bool) -> None:
    """Skip the test of a stored record that lacks this evidence."""
    if name not in record.evidence:
        assert replayed, f"the record lacks {name}, which every case of its kind measures; was a check left out?"
        pytest.skip(OLD_RECORD)


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


def test_padding_keeps_logits(case: Case, method: Method, record: Record, replayed: bool) -> None:
    """A row gives the logits that it has alone: in a batch, and padded on the right or on the left."""
    skip_if_older(record, "batch_distance", replayed)
    seen = record.evidence
    allowed = rounding_tolerance(method, MODELS[case.model], *roundings(record))
    moved = [f"{says} by {seen[name]:.3g}" for name, says in PADDED.items() if seen.get(name, 0.0) > allowed]
    assert not moved, (
        f"the logits of a row differ from those of the row alone {', '.join(moved)}, relative to their norm; rounding "
        f"explains at most {allowed:.3g}; is the attention mask ignored, or do positions count the padding? {UPGRADE}"
    )


@pytest.mark.cases(wanted=has_formula)
def test_update_follows_formula(method: Method, record: Record, replayed: bool) -> None:
    """What a trained layer adds to its base's output is what the method's paper says, at the recipe's scale."""
    skip_if_older(record, "formula_distance", replayed)
    seen, recipe = record.evidence, record.recipe
    allowed = formula_tolerance(recipe.get("adapter_precision", "float32"), seen["formula_share"])
    scale = f"{method.scale.says} = {seen['formula_scale_expected']:.5g}" if method.scale else "no scale"
    assert seen["formula_distance"] <= allowed, (
        f"{seen['formula_layer']} adds {seen['formula_scale']:.5g} times its product to the base's output; expected is "
        f"{scale}, with rank {recipe['rank']} and alpha {recipe['alpha']:g} ({method.paper}); the update is "
        f"{seen['formula_distance']:.3g} away from the formula, rounding explains at most {allowed:.3g}; is the scale "
        f"or the formula another one? {UPGRADE}"
    )


@pytest.mark.cases(wanted=merges)
def test_unmerge_gives_base(method: Method, record: Record, replayed: bool) -> None:
    """Merged and unmerged, a layer has its base's weights again."""
    if "merge_not_checked" in record.evidence:
        pytest.skip(record.evidence["merge_not_checked"])
    skip_if_older(record, "unmerge_distance", replayed)
    share = record.evidence["merged_share"]
    assert share > 0, (
        f"merging moves the weights of an adapted layer by {share:g} of their norm; expected more than 0, because its "
        f"adapter acts; does merge() do nothing? {UPGRADE}"
    )
    seen, allowed = record.evidence["unmerge_distance"], unmerge_tolerance(method)
    assert seen <= allowed, (
        f"merging and unmerging moves a layer's weights by {seen:.3g} of their norm; rounding explains at most "
        f"{allowed:.3g}; does unmerging subtract what merging added? {UPGRADE}"
    )


@pytest.mark.cases(wanted=is_rebuilt)
def test_start_follows_seed(method: Method, record: Record, replayed: bool) -> None:
    """Attached again with the same seed the method starts from the same values, with another seed from others."""
    skip_if_older(record, "same_seed_changed", replayed)
    seen = record.evidence
    assert seen["same_seed_changed"] == 0, (
        f"attached again with the same seed, {seen['same_seed_changed']} of the tensors that train start from other "
        f"values; expected 0; does their initialisation draw from another generator than torch's own? {UPGRADE}"
    )
    other = seen.get("other_seed_changed", 0)
    random = method.is_adapter and method.random_start
    assert (other > 0) == random, (
        f"attached with another seed, {other} of the tensors that train start from other values; expected "
        f"{'more than 0, because the start is random' if random else '0, because nothing of the start is random'}; "
        f"{UPGRADE}"
    )


@pytest.mark.cases(wanted=takes_second_adapter)
def test_switching_leaves_no_trace(record: Record, replayed: bool) -> None:
    """After a second adapter was attached, used and left, the first one gives the same logits, to the bit."""
    skip_if_older(record, "switching_distance", replayed)
    seen = record.evidence
    assert seen["second_adapter_acts"], "the second adapter gives the logits of the first; is switching ignored?"
    assert seen["switching_distance"] == 0, (
        f"switched to a second adapter and back, the first one's logits differ by {seen['switching_distance']:.3g}, "
        f"relative to their norm; expected 0; does the second adapter overwrite or join the first? {UPGRADE}"
    )


@pytest.mark.cases(wanted=adds_up)
def test_two_merged_are_two_active(record: Record, replayed: bool) -> None:
    """Two adapters merged together give the logits of the two active together."""
    skip_if_older(record, "two_merged_distance", replayed)
    seen = record.evidence
    assert seen["both_adapters_act"], "two active adapters give the logits of the first alone; does the second not act?"
    assert seen["two_merged_distance"] <= TWO_MERGED, (
        f"two adapters merged give logits that differ from those of the two active by "
        f"{seen['two_merged_distance']:.3g}, relative to their norm; rounding explains at most {TWO_MERGED:.3g}; is "
        f"one of them merged twice, at another scale, or not at all? {UPGRADE}"
    )


@pytest.mark.cases(wanted=merges_packed)
def test_merges_into_packed_weights(method: Method, record: Record, replayed: bool) -> None:
    """Merged by peft into weights of 4 or 8 bits, the update is there, and is rounded no more than weights are."""
    skip_if_older(record, "packed_merge_distance", replayed)
    seen, allowed = record.evidence, PACKED_MERGE[method.storage]
    assert abs(seen["packed_merge_factor"] - 1) <= PACKED_MERGE_FACTOR, (
        f"merged into {method.storage}, the weights hold {seen['packed_merge_factor']:.3f} times the update; expected "
        f"1, within {PACKED_MERGE_FACTOR:.0%}; is it merged at another scale, or lost in rounding? {UPGRADE}"
    )
    assert seen["packed_merge_distance"] <= allowed, (
        f"merged into {method.storage}, a layer's outputs are {seen['packed_merge_distance']:.3g} of their norm away "
        f"from those before rounding; packing explains at most {allowed:.3g}; are the scales of the packed weights "
        f"still the old ones? {UPGRADE}"
    )
