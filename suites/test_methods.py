"""Does each method keep its promises: on every case, by evidence taken before, during and after training."""

import pytest

from bench.core.case import Case
from bench.methods import METHODS, Method
from bench.methods.tolerances import reload_tolerance, rounding_tolerance, start_tolerance
from bench.models import DECODER, MODELS
from bench.records.record import Record


@pytest.fixture
def method(case: Case) -> Method:
    return METHODS[case.method]


def test_starts_as_base(case: Case, method: Method, record: Record) -> None:
    """Attached and untrained, the adapter leaves the base's logits as they were."""
    if not method.identity_at_start:
        pytest.skip(f"{method.name} does not promise it")
    seen = record.evidence
    allowed = start_tolerance(
        method, MODELS[case.model], record.recipe["precision"], seen.get("rounding_distance", 0.0)
    )
    assert seen["start_distance"] <= allowed


def test_base_is_frozen(method: Method, record: Record) -> None:
    """Not a bit of a frozen weight changes in training, nor in attaching where the method promises that."""
    assert record.evidence["base"]["changed"] == 0
    if method.keeps_base:
        assert record.evidence["base_changed_by_attaching"] == 0


def test_training_happened(record: Record) -> None:
    """Every tensor that trains changed, and got a gradient that is not zero."""
    trained = record.evidence["trained"]
    assert trained["changed"] == trained["tensors"] - len(unmoved(trained["unchanged"])), trained["unchanged"]
    assert record.evidence["trained_without_gradient"] == 0


def test_dropout_acts_in_training_alone(record: Record) -> None:
    """Two forward passes of the same examples differ in training where the recipe drops, and never in evaluation."""
    seen = record.evidence
    if "training_passes_distance" not in seen:
        pytest.skip("the record has no passes in training mode; run the case again")
    apart, rate = seen["training_passes_distance"], record.recipe["dropout"]
    assert (apart > 0) == (rate > 0), (
        f"dropout = {rate} and two forward passes in training mode differ by {apart}: the recipe's dropout "
        + ("does not reach the model" if rate else "is not the only one that acts")
    )
    assert seen["evaluation_passes_distance"] == 0, "two forward passes in evaluation differ: dropout acts there too"


def unmoved(names: list[str]) -> list[str]:
    """Tensors that no gradient can reach: attention is blind to a key's bias, which shifts all scores alike."""
    return [name for name in names if name.endswith("key.bias")]


def test_reads_back(case: Case, method: Method, record: Record) -> None:
    """Saved, and read onto a fresh base, it gives the same logits."""
    assert record.evidence["reload_distance"] <= reload_tolerance(
        method, MODELS[case.model], record.recipe["precision"]
    )


def test_merge_keeps_logits(case: Case, method: Method, record: Record) -> None:
    """Merged into the base's weights it gives the same logits."""
    if not method.mergeable:
        pytest.skip(f"{method.name} has no weight to merge into")
    seen = record.evidence
    if "merge_not_checked" in seen:
        pytest.skip(seen["merge_not_checked"])
    assert seen["merge_distance"] <= rounding_tolerance(method, MODELS[case.model], *roundings(record))


def test_generates_what_it_reads(case: Case, method: Method, record: Record, replayed: bool) -> None:
    """Generating, a token at a time behind a cache, goes by the logits that one reading of it all gives."""
    if MODELS[case.model].kind != DECODER:
        pytest.skip(f"{case.model} is an encoder and generates nothing")
    seen = record.evidence
    if "generation_distance" not in seen:
        assert replayed, "the record lacks generation_distance, which every case of a decoder has"
        pytest.skip("the record is of before this was looked at")
    assert seen["generation_distance"] <= rounding_tolerance(method, MODELS[case.model], *roundings(record))


def roundings(record: Record) -> tuple[str, str, float]:
    """What base and adapter are rounded to, and what one more rounding of every weight was seen to do."""
    kept = record.recipe.get("adapter_precision", "float32")  # records of before have no such field
    return record.recipe["precision"], kept, record.evidence.get("rounding_distance", 0.0)


def test_off_gives_base(method: Method, record: Record) -> None:
    """Switched off, the adapter is as if it were not there."""
    if not method.is_adapter:
        pytest.skip(f"{method.name} is no adapter; there is nothing to switch off")
    if not method.disable_gives_base:
        pytest.skip(f"{method.name} moves a part of the base into the adapter")
    assert record.evidence["off_distance"] == 0


def test_rank_schedule_ran(method: Method, record: Record) -> None:
    """AdaLoRA ends at its budget, and spends it unevenly."""
    if not method.prunes:
        pytest.skip("its rank is fixed")
    layers, rank = record.evidence["adapted_layers"], record.recipe["rank"]
    assert record.evidence["rank_total"] == layers * rank
    assert record.evidence["rank_smallest"] < rank < record.evidence["rank_largest"]
