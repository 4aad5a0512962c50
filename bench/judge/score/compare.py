"""Groups of comparable records, each with its methods' standings; other records are refused by name."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.judge.score.dimensions import DIMENSIONS, asked_families
from bench.judge.score.standing import Standing, stand
from bench.methods import METHODS
from bench.records.basis import CLOCK, QUALITY, basis_differences, basis_of
from bench.records.basis import METHODS as SIDE_BY_SIDE
from bench.records.figures import MORE
from bench.records.record import Record
from bench.tasks import TASKS


@dataclass(frozen=True)
class Comparison:
    """A group's methods, and a sentence for each dimension left out."""

    name: str
    metric: str
    greater: Mapping[str, bool]  # compared dimension -> whether greater values are better
    left_out: list[str]
    standings: list[Standing]


def compare(records: Iterable[Record], weights: Mapping[str, float]) -> tuple[list[Comparison], list[str]]:
    """A comparison for each group, and a sentence for each record that is in none.

    Raises ValueError naming the records if data, weights or a method's recipes differ within a group.
    """
    groups: dict[str, list[Record]] = {}
    refused = []
    for record in records:
        if why := refusal(record):
            refused.append(f"{record.case}: {why}")
        else:
            case = record.parsed_case()
            groups.setdefault(f"{case.task}-{case.model}-{case.device}-{record.recipe['data']}", []).append(record)
    return [compare_group(name, group, weights) for name, group in groups.items()], refused


def refusal(record: Record) -> str:
    """Why the record is not scored; empty if it is."""
    case = record.parsed_case()
    if not record.ok:
        return f"{record.status}, {record.reason or 'no reason was recorded'}"
    if case.task not in TASKS:
        return f"no task {case.task!r} here, whose metric would be known"
    if case.method in METHODS and (first := METHODS[case.method].after):
        return f"it goes on from {first}, whose time and adapter its record does not count"
    return ""


def compare_group(name: str, group: Sequence[Record], weights: Mapping[str, float]) -> Comparison:
    methods: dict[str, list[Record]] = {}
    for record in group:
        methods.setdefault(record.parsed_case().method, []).append(record)
    require_alike(name, group, SIDE_BY_SIDE)
    for own in methods.values():
        require_alike(name, own, QUALITY)
    task = TASKS[group[0].parsed_case().task]
    absent = {dimension: why for dimension in DIMENSIONS if (why := absence(dimension, group))}
    kept = [dimension for dimension in DIMENSIONS if dimension not in absent]
    greater = {one: DIMENSIONS[one].figure(group[0]).better == MORE for one in kept}
    figures = {method: [figures_of(record, kept) for record in own] for method, own in methods.items()}
    left_out = [f"{dimension} is left out: {why}" for dimension, why in absent.items()]
    return Comparison(name, task.metric, greater, left_out, stand(figures, greater, weights))


def require_alike(name: str, group: Sequence[Record], purpose: Sequence[str]) -> None:
    """Raise ValueError naming the first record that differs from the group's first, and how."""
    first = group[0]
    for record in group[1:]:
        other = list(basis_differences(basis_of(first), basis_of(record), purpose))
        if record.recipe.get("engine") != first.recipe.get("engine"):
            other.append("engine")
        if other:
            raise ValueError(
                f"{name}: {record.case} has other {' and '.join(other)} than {first.case}, so they cannot be compared; "
                "score runs that were measured alike"
            )


def absence(name: str, group: Sequence[Record]) -> str:
    """Why a dimension cannot be compared in the group; empty if it can."""
    dimension = DIMENSIONS[name]
    lacking = [record for record in group if dimension.figure_of(record) is None]
    if len(lacking) == len(group):
        return "no record has it"
    if lacking:
        return f"{len(lacking)} of {len(group)} records lack it, as {lacking[0].case}"
    clocks = (basis_differences(basis_of(group[0]), basis_of(record), CLOCK) for record in group[1:])
    if dimension.figure(group[0]).timed and (differing := next(filter(None, clocks), None)):
        return f"the records differ in {' and '.join(differing)}"
    asked = {tuple((family, items) for family, (items, _) in asked_families(record).items()) for record in group}
    return "the records were asked different probes" if name == "truth" and len(asked) > 1 else ""


def figures_of(record: Record, names: Iterable[str]) -> dict[str, float]:
    return {name: float(value) for name in names if (value := DIMENSIONS[name].figure_of(record)) is not None}
