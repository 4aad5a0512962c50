"""What does it cost: exact figures, equal on every machine for the same libraries."""

import pytest

from bench.core.case import Case
from bench.methods import METHODS
from bench.methods.tolerances import ADAPTER_FILE_OVERHEAD, FLOPS_AGREEMENT, STEP_FLOPS_AGREEMENT
from bench.records.record import Record
from bench.records.work import HARDWARE, MODEL, counts_of

BYTES = {"float32": 4, "bfloat16": 2}


def has_formula(case: Case) -> bool:
    return METHODS[case.method].count is not None


@pytest.mark.cases(wanted=has_formula)
def test_trainable_parameters(record: Record) -> None:
    """As many train as the method's paper says."""
    assert record.exact["trainable_parameters"] == record.exact["trainable_parameters_formula"]


@pytest.mark.parametrize("route", ["forward", "forward_fvcore"])
def test_forward_flops(record: Record, route: str) -> None:
    """torch's counter, fvcore's trace and the formula give the same forward pass, at each shape that was counted."""
    counts = [one for one in counts_of(record.exact, record.recipe) if route in one]
    if not counts:
        if "flops_counts" not in record.exact:
            pytest.skip("the record is older than fvcore's counts of every method; run its case again")
        reason = next((reason for reason in record.reasons if "fvcore" in reason), "its record does not say why")
        assert "No module named" in reason, f"{route} FLOPs are missing although fvcore is installed: {reason}"
        pytest.skip(reason)
    for one in counts:
        message = f"{route} FLOPs at {one['rows']} x {one['length']} tokens beside the formula's"
        assert one[route] == pytest.approx(one["forward_formula"], rel=FLOPS_AGREEMENT), message


def test_step_flops(record: Record) -> None:
    """A training step's model FLOPs are what its method's formula says, at each shape that was counted."""
    counts = [one for one in counts_of(record.exact, record.recipe) if one.get("model_step_formula") is not None]
    if not counts:
        if "flops_counts" not in record.exact and record.recipe["gradient_checkpointing"]:
            pytest.skip("the record is older than the distinction between model and hardware FLOPs")
        pytest.skip(f"{record.parsed_case().method} has no closed form for a step's FLOPs")
    for one in counts:
        message = f"model FLOPs of a step of {one['rows']} x {one['length']} tokens beside the formula's"
        assert one[MODEL] == pytest.approx(one["model_step_formula"], rel=STEP_FLOPS_AGREEMENT), message


def test_hardware_flops(record: Record) -> None:
    """What runs is what the model needs, and more only where the recipe computes something twice."""
    if "flops_counts" not in record.exact:
        pytest.skip("the record is older than the distinction between model and hardware FLOPs")
    twice = record.recipe["gradient_checkpointing"] or record.environment.get("loss_by") == "chunks"
    for one in record.exact["flops_counts"]:
        message = f"hardware over model FLOPs of a step of {one['rows']} x {one['length']} tokens"
        assert (one[HARDWARE] > one[MODEL]) if twice else (one[HARDWARE] == one[MODEL]), message


def test_adapter_bytes(case: Case, record: Record) -> None:
    """On disk the adapter takes the bytes of what trains, a header, and what the method needs to be read back."""
    if METHODS[case.method].stores_more:
        pytest.skip(METHODS[case.method].stores_more)
    least = bytes_of_what_trains(record)
    assert least <= record.exact["adapter_bytes"] <= least + ADAPTER_FILE_OVERHEAD


def test_allocated_bytes(record: Record) -> None:
    """A step's peak holds at least the model at rest and a gradient for each trained parameter."""
    at_rest, peak = record.exact["resting_allocated_bytes"], record.exact["step_allocated_bytes"]
    assert peak >= at_rest + bytes_of_what_trains(record)


def bytes_of_what_trains(record: Record) -> int:
    """Of the trained weights, or of their gradients: four bytes each, two in bfloat16."""
    kept = record.recipe.get("adapter_precision", "float32")  # records of before have no such field
    return BYTES[kept] * record.exact["trainable_parameters"]
