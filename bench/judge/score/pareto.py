"""An order of methods beyond the noise of seeds: intervals, dominance, fronts and places.

Two figures tie if their intervals overlap. A tie is not an equivalence (a may tie with b and b with c while a beats c),
so dominance can be circular; the methods in a circle then share a front.
"""

from collections.abc import Callable, Mapping, Sequence

from bench.judge.statistics import Interval


def dominates(one: Mapping[str, Interval], other: Mapping[str, Interval], greater: Mapping[str, bool]) -> bool:
    """Whether one is better in some dimension and worse in none, each beyond the noise.

    greater: dimension -> whether its greater values are better; both have a figure for each.
    """
    better = any(one[name].beats(other[name], greater[name]) for name in greater)
    worse = any(other[name].beats(one[name], greater[name]) for name in greater)
    return better and not worse


def fronts(names: Sequence[str], beats: Callable[[str, str], bool]) -> dict[str, int]:
    """Name -> Pareto rank: 1 if nothing dominates it, 2 if only those of rank 1 do, and so on.

    If each remaining one is dominated by another, all of them share the rank.
    """
    ranks: dict[str, int] = {}
    left = list(names)
    while left:
        front = [name for name in left if not any(beats(other, name) for other in left)]
        rank = max(ranks.values(), default=0) + 1
        ranks |= dict.fromkeys(front or left, rank)  # each is dominated by another: dominance is circular
        left = [name for name in left if name not in ranks]
    return {name: ranks[name] for name in names}


def places(scores: Mapping[str, Interval]) -> dict[str, int]:
    """Name -> place: one more than the number of scores that are greater beyond the noise."""
    return {
        name: 1 + sum(other.beats(score, greater_is_better=True) for other in scores.values())
        for name, score in scores.items()
    }


def ties(scores: Mapping[str, Interval], name: str) -> list[str]:
    """The names whose intervals overlap this one's, so neither is called better."""
    own = scores[name]
    return [
        other
        for other, score in scores.items()
        if other != name and not score.beats(own, True) and not own.beats(score, True)
    ]
