"""Short names of cases for charts, which on a telephone have little room."""

from collections.abc import Iterable, Mapping

from bench.core.case import parse_case

LONGEST = 18  # letters on a line
PARTS = ("task", "model", "method", "device")


def short_names(groups: Iterable[str]) -> Mapping[str, str]:
    """Group -> the parts of its name in which the groups differ, at least the method; on two lines if that is long.

    A group is a case id without its seed, with or without the size of the data.
    """
    parts = {group: parts_of(group) for group in groups}
    told = [
        place
        for place, name in enumerate([*PARTS, "data"])
        if name == "method" or len({one[place] for one in parts.values()}) > 1
    ]
    return {group: in_lines([one[place] for place in told if one[place]]) for group, one in parts.items()}


def parts_of(group: str) -> list[str]:
    """Task, model, method, device and the size of the data; empty if it is not named."""
    names = group.split("-")
    return [*names, ""] if len(names) == len(PARTS) else names


def in_lines(parts: list[str]) -> str:
    text = " ".join(parts)
    if len(text) <= LONGEST or len(parts) == 1:
        return text
    middle = min(range(1, len(parts)), key=lambda at: abs(len(" ".join(parts[:at])) - len(" ".join(parts[at:]))))
    return "\n".join((" ".join(parts[:middle]), " ".join(parts[middle:])))


def without_seed(case_id: str) -> str:
    case = parse_case(case_id)
    return f"{case.task}-{case.model}-{case.method}-{case.device}"
