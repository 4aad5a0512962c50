"""Exact figures compared: parameters, steps, FLOPs and bytes, which repeat on every machine with the same libraries.

Their noise is 0: 30 of 30 were equal in repeated runs. A library that counts or rounds differently may still move FLOPs
and file sizes by a part in a thousand, and pages of a few tensors may move a peak by half a percent. Beyond that a
figure is worse. There is no floor in bytes: 8 MiB are 2 to 9 % of a step of MiniLM.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from bench.judge.compare.finding import BETTER, CHANGED, EXACT, INCOMPARABLE, MEMORY, MISSING, NEW, WORSE, Finding
from bench.machine.cards import MIB
from bench.records.basis import table_difference
from bench.records.record import Record

WORK_SHARE = 0.001  # of FLOPs and of file sizes: transformers 5.17 and 5.23 differ by 512 of 12.6 million FLOPs
MEMORY_SHARE = 0.005  # of bytes that tensors hold
COUNTS = ("trainable_parameters", "total_parameters", "optimizer_steps", "labels", "added_positions")
OURS = "_formula"  # lorabench's own arithmetic, which no library changes
RESTING, STEP = "resting_allocated_bytes", "step_allocated_bytes"
CARD = ("accelerator", "driver", "emulation")  # keys of a record's environment
CARD_PEAK = "train.allocated_bytes"  # of torch's allocator, which repeats on a card
SUSPECTS = {
    "trainable_parameters": "which modules the method adapts, or what its configuration freezes",
    "total_parameters": "the model's architecture, or what the method adds",
    "optimizer_steps": "the length of the data, or how batches are made",
    "heaviest_batches": "the tokenizer, or how batches are made",
    "step_shape": "the tokenizer, or how batches are made",
    "labels": "the data's labels",
    "adapter_bytes": "what is saved, or in which precision",
}


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables flattened into one with dotted names; a counted shape is named by its rows and tokens."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        elif name == "flops_counts":
            for one in value:
                shape = f"{one['rows']}x{one['length']}"
                found |= {f"{prefix}flops.{key}.{shape}": one[key] for key in one if key not in ("rows", "length")}
        else:
            found[prefix + name] = value
    return found


def compare_exact(before: Record, after: Record, common: bool) -> Iterator[Finding]:
    """A finding for each exact figure that differs. common: compare only what both records have."""
    old, new = figures_of(before), figures_of(after)
    for name in old.keys() | new.keys() if not common else old.keys() & new.keys():
        kind = MEMORY if name.endswith("allocated_bytes") else EXACT
        if name not in new:
            yield Finding(
                before.case, kind, MISSING, name, "the second record lacks it", value_with_unit(name, old[name]), "–"
            )
        elif name not in old:
            yield Finding(before.case, kind, NEW, name, "", "–", value_with_unit(name, new[name]))
        elif name == CARD_PEAK and (cards := card_difference(before, after)):
            says = f"another card or driver ({cards}), whose allocator holds other bytes"
            yield Finding(
                before.case,
                kind,
                INCOMPARABLE,
                name,
                says,
                value_with_unit(name, old[name]),
                value_with_unit(name, new[name]),
            )
        elif old[name] != new[name]:
            yield difference(before.case, kind, name, old, new)


def card_difference(before: Record, after: Record) -> str:
    """How the cards of the two allocator peaks differ; empty if they are alike."""
    old, new = ({name: side.environment.get(name) for name in CARD} for side in (before, after))
    return table_difference(old, new)


def figures_of(record: Record) -> dict[str, Any]:
    """Exact figures by name, and on a card the allocator's peak."""
    found = {name: value for name, value in flat(record.exact).items() if OURS not in name}
    peak = record.noisy.get("memory", {}).get("train", {}).get("allocated_bytes")
    return found if peak is None else {**found, CARD_PEAK: peak}


def difference(case: str, kind: str, name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Finding:
    """The finding for a figure that differs: worse beyond its bound, better below it, changed in between."""
    before, after = old[name], new[name]
    values = (value_with_unit(name, before), value_with_unit(name, after))
    suspect = suspect_of(name, old, new)
    if name in COUNTS:
        return Finding(case, kind, WORSE, name, "these must be equal", *values, suspect)
    measured = "flops" in name or name.endswith("_bytes")
    if not measured or not all(isinstance(value, int | float) for value in (before, after)):
        return Finding(case, kind, CHANGED, name, "", *values, suspect)
    bound = MEMORY_SHARE if kind == MEMORY else WORK_SHARE
    change = after / before - 1 if before else float("inf")
    says = f"{change:+.2%}; allowed are {bound:.1%}"
    state = WORSE if change > bound else BETTER if change < -bound else CHANGED
    return Finding(case, kind, state, name, says, *values, suspect)


def suspect_of(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What may have moved the figure; for a step's memory, which part of it grew."""
    if name in (RESTING, CARD_PEAK):
        return "what the model holds at rest: weights, their precision, or buffers" if name == RESTING else ""
    if name == STEP and all(RESTING in side for side in (old, new)):
        rest, all_of_it = (new[one] - old[one] for one in (RESTING, STEP))
        if abs(rest) > abs(all_of_it) / 2:
            return f"what the model holds at rest, which changed by {rest / MIB:+,.1f} MiB"
        kept = (all_of_it - rest) / MIB
        return f"what a step holds beyond the model: activations kept for backward, or gradients ({kept:+,.1f} MiB)"
    if "flops" in name:
        return "which products a pass computes"
    return SUSPECTS.get(name, "")


def value_with_unit(name: str, value: Any) -> str:
    """The value with its unit."""
    if name.endswith("_bytes") and isinstance(value, int | float):
        return f"{value / MIB:,.2f} MiB" if value >= MIB else f"{value:,} bytes"
    return f"{value:,}" if isinstance(value, int | float) else str(value)
