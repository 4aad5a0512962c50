"""What does it cost: exact figures, equal on every machine for the same libraries."""

import pytest

from bench.core.case import Case
from bench.methods import METHODS
from bench.methods.tolerances import ADAPTER_FILE_OVERHEAD, FLOPS_AGREEMENT, STEP_FLOPS_AGREEMENT
from bench.records.record import Record
from bench.records.work import HARDWARE, MODEL, counts_of

BYTES = {"float32": 4, "bfloat16": 2}
OTHER_MODULES = "does this peft adapt other modules, or train another head?"
OTHER_COUNT = "does this version of torch or peft compute a step differently, or count it differently?"


def stores_what_trains(case: Case) -> bool:
    return not METHODS[case.method].stores_more


def has_formula(case: Case) -> bool:
    return METHODS[case.method].count is not None


@pytest.mark.cases(wanted=has_formula)
def test_trainable_parameters(record: Record) -> None:
    """As many parameters train as the method's paper says."""
    seen, expected = record.exact["trainable_parameters"], record.exact["trainable_parameters_formula"]
    assert seen == expected, (
        f"{seen:,} parameters train, and the formula of the method's paper gives {expected:,}; {OTHER_MODULES}"
    )


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
        assert one[route] == pytest.approx(one["forward_formula"], rel=FLOPS_AGREEMENT), differing_flops(
            one, route, "forward_formula", FLOPS_AGREEMENT
        )


def test_step_flops(record: Record) -> None:
    """A training step's model FLOPs are what its method's formula says, at each shape that was counted."""
    counts = [one for one in counts_of(record.exact, record.recipe) if one.get("model_step_formula") is not None]
    if not counts:
        if "flops_counts" not in record.exact and record.recipe["gradient_checkpointing"]:
            pytest.skip("the record is older than the distinction between model and hardware FLOPs")
        pytest.skip(f"{record.parsed_case().method} has no closed form for a step's FLOPs")
    for one in counts:
        assert one[MODEL] == pytest.approx(one["model_step_formula"], rel=STEP_FLOPS_AGREEMENT), differing_flops(
            one, MODEL, "model_step_formula", STEP_FLOPS_AGREEMENT
        )


def differing_flops(one: dict[str, float], counted: str, formula: str, allowed: float) -> str:
    """The sentence for a count that differs from its formula at one shape."""
    return (
        f"{counted} counted {one[counted]:.6g} FLOPs at {one['rows']} x {one['length']} tokens, and {formula} gives "
        f"{one[formula]:.6g} ({one[counted] / one[formula] - 1:+.2%}); allowed are {allowed:.0%}; {OTHER_COUNT}"
    )


def test_hardware_flops(record: Record) -> None:
    """What runs is what the model needs, and more only where the recipe computes something twice."""
    if "flops_counts" not in record.exact:
        pytest.skip("the record is older than the distinction between model and hardware FLOPs")
    twice = record.recipe["gradient_checkpointing"] or record.environment.get("loss_by") == "chunks"
    expected = "more, because the recipe computes something twice" if twice else "the same"
    for one in record.exact["flops_counts"]:
        assert (one[HARDWARE] > one[MODEL]) if twice else (one[HARDWARE] == one[MODEL]), (
            f"a step of {one['rows']} x {one['length']} tokens runs {one[HARDWARE]:.6g} FLOPs and the model needs "
            f"{one[MODEL]:.6g}; expected {expected}; is gradient checkpointing on where it should be, and only there?"
        )


@pytest.mark.cases(wanted=stores_what_trains)
def test_adapter_bytes(record: Record) -> None:
    """On disk the adapter takes the bytes of what trains, a header, and what the method needs to be read back."""
    least, seen = bytes_of_what_trains(record), record.exact["adapter_bytes"]
    assert least <= seen <= least + ADAPTER_FILE_OVERHEAD, (
        f"the saved adapter takes {seen:,} bytes; expected {least:,} of trained weights and at most "
        f"{ADAPTER_FILE_OVERHEAD:,} more; does peft save another precision, or weights that do not train?"
    )


def test_allocated_bytes(record: Record) -> None:
    """A step's peak holds at least the model at rest and a gradient for each trained parameter."""
    at_rest, peak = record.exact["resting_allocated_bytes"], record.exact["step_allocated_bytes"]
    least = at_rest + bytes_of_what_trains(record)
    assert peak >= least, (
        f"a step's peak is {peak:,} allocated bytes, less than the {least:,} of the model at rest and gradients; "
        "were allocations missed, or did some parameters get no gradient?"
    )


def bytes_of_what_trains(record: Record) -> int:
    """Bytes of the trained weights, or of their gradients: four each, two in bfloat16."""
    kept = record.recipe.get("adapter_precision", "float32")  # older records have no such field
    return BYTES[kept] * record.exact["trainable_parameters"]
