"""What does it cost: exact figures, equal on every machine for the same libraries."""

import pytest

from bench.case import Case
from bench.methods import METHODS
from bench.record import Record
from bench.tolerances import ADAPTER_FILE_OVERHEAD, FLOPS_AGREEMENT, STEP_FLOPS_AGREEMENT

BYTES = {"float32": 4, "bfloat16": 2}


def test_trainable_parameters(record: Record) -> None:
    """As many train as the method's paper says."""
    assert record.exact["trainable_parameters"] == record.exact["trainable_parameters_formula"]


@pytest.mark.parametrize("route", ["forward_flops", "forward_flops_fvcore"])
def test_forward_flops(record: Record, route: str) -> None:
    """torch's counter, fvcore's trace and the formula give the same forward pass."""
    if route not in record.exact:
        reason = next((reason for reason in record.reasons if "fvcore" in reason), "its record does not say why")
        assert METHODS[record.parsed_case().method].quantised, f"{route} is missing and was expected: {reason}"
        pytest.skip(reason)
    ratio = record.exact[route] / record.exact["forward_flops_formula"]
    assert ratio == pytest.approx(1, rel=FLOPS_AGREEMENT)


def test_step_flops(record: Record) -> None:
    """A training step's FLOPs are what its method's formula says."""
    formula = record.exact["step_flops_formula"]
    if formula is None:
        pytest.skip(f"{record.parsed_case().method} has no closed form for a step's FLOPs")
    assert record.exact["step_flops"] / formula == pytest.approx(1, rel=STEP_FLOPS_AGREEMENT)


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
