"""Searches by trials: the fewest packages that are bad together, and the first bad release.

A trial is good, bad, or untestable, as git's bisect has it: what fails otherwise says nothing of the fault.
"""

from collections.abc import Callable, Sequence

from packaging.version import InvalidVersion, Version

GOOD, BAD, UNTESTABLE = "good", "bad", "untestable"


def smallest_guilty(requirements: Sequence[str], test: Callable[[Sequence[str]], str]) -> list[str]:
    """The fewest of these requirements that are bad together (Zeller's ddmin); all of them are known to be."""
    guilty, parts = list(requirements), 2
    while len(guilty) > 1:
        size = -(-len(guilty) // parts)
        chunks = [guilty[start : start + size] for start in range(0, len(guilty), size)]
        rests = [[one for one in guilty if one not in chunk] for chunk in chunks]
        smaller = next((part for part in [*chunks, *rests] if len(part) < len(guilty) and test(part) == BAD), None)
        if smaller is not None:
            guilty, parts = smaller, 2 if smaller in chunks else max(parts - 1, 2)
        elif parts < len(guilty):
            parts = min(len(guilty), 2 * parts)
        else:
            break
    return guilty


def first_bad(releases: Sequence[str], test: Callable[[str], str]) -> tuple[str, str]:
    """(the last good release, the first bad one) of releases in order, of which the last is bad; "" where all are."""
    good, bad = -1, len(releases) - 1
    skipped: set[int] = set()
    while open_ones := [number for number in range(good + 1, bad) if number not in skipped]:
        middle = open_ones[len(open_ones) // 2]
        state = test(releases[middle])
        if state == BAD:
            bad = middle
        elif state == GOOD:
            good = middle
        else:
            skipped.add(middle)
    return (releases[good] if good >= 0 else ""), releases[bad]


def between(releases: Sequence[str], before: str, after: str) -> list[str]:
    """The final releases after one version, up to another, in the order from one to the other.

    Of a downgrade the newest is first.
    """
    try:
        first, last = Version(before), Version(after)
        found = sorted({Version(one) for one in releases} | {last}, reverse=last < first)
    except InvalidVersion:
        return [after]
    low, high = min(first, last), max(first, last)
    passed = [one for one in found if low <= one <= high and one != first and (not one.is_prerelease or one == last)]
    return [str(one) for one in passed] or [after]
