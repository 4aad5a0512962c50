"""Evidence compared: the distances and counts by which a record shows that a method keeps its promises.

A distance that should be 0 is a rounding error. It may grow tenfold, because a library may sum in another order. Beyond
that it is worse, even if a tolerance of the suites still allows it: with transformers 5.24 the distance between
generating and reading rose from 7e-7 to 0.54, while losses and quality were equal to the bit.
"""

from collections.abc import Iterator
from typing import Any

from bench.judge.compare.exact import flat
from bench.judge.compare.finding import BETTER, CHANGED, EVIDENCE, MISSING, NEW, WORSE, Finding
from bench.methods import METHODS
from bench.methods.tolerances import rounding_tolerance
from bench.models import MODELS
from bench.records.record import Record

FACTOR = 10.0  # by which a distance may grow
FLOOR = 1e-6  # a smaller distance is a rounding error of float32
# Logits that are computed in two ways, in the record's precision; all other distances are of float32, or should be 0.
ROUNDED = (
    "merge_distance",
    "generation_distance",
    "batch_distance",
    "right_padding_distance",
    "left_padding_distance",
    "left_padded_generation_distance",
)
LARGE = 0.01  # a larger distance is not a rounding error: the two models differ by design
DISTANCE = "_distance"
DROPOUT = "training_passes_distance"
SIZE_OF_ROUNDING = "rounding_distance"
# Figures that say how large something is, and promise nothing.
YARDSTICKS = (SIZE_OF_ROUNDING, "formula_share", "merged_share", "formula_layer")
PACKED_FACTOR = "packed_merge_factor"  # 1 is right
SCALE = "formula_scale"
SAME_FACTOR = 0.005  # relative; what rounding to 4 bits may do to the factor of a merged update
FEWER_IS_BETTER = ("base.changed", "base_changed_by_attaching", "trained_without_gradient", "same_seed_changed")
MORE_IS_BETTER = ("trained.changed",)
EQUAL = ("trained.tensors", "base.tensors", "formula_layers", "large_trained_tensors")
PACKED = "packed_merge_distance"
PACKED_GROWTH = 1.1  # rounding to few bits is a large distance, and nearly the same in any library
SUSPECTS = {
    "start_distance": "the initial values of the adapter",
    "off_distance": "switching the adapter off",
    "generation_distance": "generation: the cache of keys and values, its positions, or the adapter's virtual tokens",
    "reload_distance": "saving the adapter and reading it back",
    "merge_distance": "merging the adapter into the weights",
    "training_passes_distance": "dropout in training",
    "evaluation_passes_distance": "dropout in evaluation",
    "base.changed": "weights that ought to be frozen are trained",
    "base_changed_by_attaching": "attaching changes the base's weights",
    "trained.tensors": "which tensors are trained",
    "trained.changed": "a trained tensor did not change: its gradient, or the optimizer",
    "trained_without_gradient": "the gradient does not reach every trained tensor",
    "base.tensors": "the model's architecture, or which tensors are frozen",
    "batch_distance": "what the rows of a batch share",
    "right_padding_distance": "the attention mask",
    "left_padding_distance": "the attention mask, or positions",
    "left_padded_generation_distance": "the attention mask or the positions that generation makes",
    "formula_distance": "what an adapted layer computes",
    "formula_scale": "the scale of the adapter",
    "formula_layers": "which layers are adapted",
    "unmerge_distance": "unmerging the adapter from the weights",
    "same_seed_changed": "the initial values of the adapter, which do not follow the seed",
    "other_seed_changed": "the initial values of the adapter",
    "switching_distance": "switching from one adapter to another",
    "second_adapter_acts": "switching from one adapter to another",
    "two_merged_distance": "merging several adapters",
    "both_adapters_act": "several adapters active at once",
    "packed_merge_distance": "merging the adapter into packed weights",
    "large_trained_tensors": "which tensors are trained",
    "states_in_8_bits": "the optimizer's states in 8 bits",
    "packed_merge_factor": "the scale at which the adapter is merged into packed weights",
}


def compare_evidence(before: Record, after: Record, common: bool) -> Iterator[Finding]:
    """A finding for each piece of evidence that differs. common: compare only what both records have."""
    old, new = flat(before.evidence), flat(after.evidence)
    for name in old.keys() | new.keys() if not common else old.keys() & new.keys():
        if name.startswith("promises."):  # from the method's own entry, which no library changes
            continue
        values = (value_text(old.get(name)), value_text(new.get(name)))
        if name not in new:
            says, suspect = "the second record lacks it", SUSPECTS.get(name, "")
            yield Finding(before.case, EVIDENCE, MISSING, name, says, *values, suspect)
        elif name not in old:
            yield Finding(before.case, EVIDENCE, NEW, name, "", *values)
        elif old[name] != new[name]:
            state, says = difference(name, old[name], new[name], after)
            yield Finding(before.case, EVIDENCE, state, name, says, *values, SUSPECTS.get(name, ""))


def difference(name: str, before: Any, after: Any, record: Record) -> tuple[str, str]:
    """The state of a piece of evidence that differs, and a sentence. record: the second one."""
    if isinstance(before, bool) and isinstance(after, bool):
        return (BETTER, "") if after else (WORSE, "it was true")
    if name == DROPOUT and (before == 0) != (after == 0):
        return of_dropout(after > 0, record)
    if name in YARDSTICKS:
        return CHANGED, ""
    if name == PACKED_FACTOR:
        return of_factor(before, after, 1.0)
    if name == SCALE:
        return of_factor(before, after, record.evidence["formula_scale_expected"])
    if name == PACKED:
        grown = after > PACKED_GROWTH * before
        return (WORSE, f"it may grow by {PACKED_GROWTH - 1:.0%}") if grown else (CHANGED, "")
    if name.endswith(DISTANCE):
        return of_distance(before, after, floor_of(name, record))
    if name in FEWER_IS_BETTER:
        return (WORSE, "it must not grow") if after > before else (BETTER, "")
    if name in MORE_IS_BETTER:
        return (WORSE, "it must not shrink") if after < before else (BETTER, "")
    if name in EQUAL:
        return WORSE, "these must be equal"
    return CHANGED, ""


def of_dropout(acts: bool, record: Record) -> tuple[str, str]:
    """Of dropout in training that began to act or stopped: better if the recipe asks for what is now so."""
    if acts == (record.recipe["dropout"] > 0):
        return BETTER, "as the recipe asks"
    return WORSE, "dropout " + ("acts although it did not before" if acts else "no longer acts")


def of_factor(before: float, after: float, right: float) -> tuple[str, str]:
    if abs(after - before) <= SAME_FACTOR * abs(before):
        return CHANGED, "within a rounding"
    if abs(after - right) < abs(before - right):
        return BETTER, f"nearer to {right:.5g}"
    return WORSE, f"a factor may move away from {right:.5g} by {SAME_FACTOR:.1%}, for rounding alone"


def floor_of(name: str, record: Record) -> float:
    """The distance that is a rounding, whatever it was before; in 16 bits what the suites allow for the record."""
    precisions = (record.recipe["precision"], record.recipe.get("adapter_precision", "float32"))  # older ones lack it
    case = record.parsed_case()
    if name not in ROUNDED or set(precisions) == {"float32"} or not (case.method in METHODS and case.model in MODELS):
        return FLOOR
    measured = record.evidence.get("rounding_distance", 0.0)
    return rounding_tolerance(METHODS[case.method], MODELS[case.model], *precisions, measured)


def of_distance(before: float, after: float, floor: float) -> tuple[str, str]:
    allowed = max(FACTOR * before, floor)
    if after > allowed:
        return WORSE, f"allowed is {allowed:.1e}, the larger of ten times the old value and a rounding"
    return CHANGED, "" if before > LARGE else "within ten times the old value, or within a rounding"


def value_text(value: Any) -> str:
    return "–" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
