"""What is better than what, beyond the noise of seeds: intervals, dominance, fronts and places.

Two figures tie where their intervals overlap. That is no equivalence (a may tie with b and b with c while a
beats c), so dominance may run in a circle; those in the circle then share a front.
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
    """Name -> Pareto rank: 1 where nothing dominates it, 2 where only those of rank 1 do, and so on.

    Where each of those that remain is dominated by another, all that are left share the rank.
    """
    ranks: dict[str, int] = {}
    left = list(names)
    while left:
        front = [name for name in left if not any(beats(other, name) for other in left)]
        rank = max(ranks.values(), default=0) + 1
        ranks |= dict.fromkeys(front or left, rank)  # none is free of a better one: dominance runs in a circle
        left = [name for name in left if name not in ranks]
    return {name: ranks[name] for name in names}


def places(scores: Mapping[str, Interval]) -> dict[str, int]:
    """Name -> place: one more than how many scores are greater beyond the noise."""
    return {
        name: 1 + sum(other.beats(score, greater_is_better=True) for other in scores.values())
        for name, score in scores.items()
    }


def ties(scores: Mapping[str, Interval], name: str) -> list[str]:
    """Whose intervals overlap with this one's, so that neither is called better."""
    own = scores[name]
    return [
        other
        for other, score in scores.items()
        if other != name and not score.beats(own, True) and not own.beats(score, True)
    ]
