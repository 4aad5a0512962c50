"""Standings of the methods of one group: shares of the best, scores, ranks and places."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.judge.score.pareto import dominates, fronts, places, ties
from bench.judge.statistics import LEAST_SEEDS, Interval, interval

Seeds = Sequence[Mapping[str, float]]  # a method's figures by dimension, one mapping per seed


@dataclass(frozen=True)
class Standing:
    """One method in its group.

    figures: dimension -> mean over seeds; intervals: the same with intervals, if there are enough seeds; score: a
    fraction of 1. rank, place: None if only one seed was measured; tied: methods whose scores tie with this one's.
    """

    method: str
    seeds: int
    figures: Mapping[str, float]
    intervals: Mapping[str, Interval]
    score: float | None
    score_interval: Interval | None
    rank: int | None = None
    place: int | None = None
    dominated_by: tuple[str, ...] = ()
    tied: tuple[str, ...] = ()


def share_of_best(value: float, best: float, greater_is_better: bool) -> float:
    """1 for the group's best mean; 0.5 for twice the cost, or for half the benefit."""
    one, other = (value, best) if greater_is_better else (best, value)
    if other == 0:
        return 1.0 if one == 0 else 0.0
    return one / other


def scores_of(
    figures: Mapping[str, Seeds], greater: Mapping[str, bool], weights: Mapping[str, float]
) -> dict[str, list[float]]:
    """Method -> the score of each seed: the weighted mean of its shares of the group's best mean.

    Empty if none of the group's dimensions has a weight.
    """
    total = sum(weights[name] for name in greater)
    if not total:
        return {}
    means = [mean_of(seeds) for seeds in figures.values()]
    best = {name: (max if up else min)(mean[name] for mean in means) for name, up in greater.items()}
    return {
        method: [
            sum(weights[name] * share_of_best(seed[name], best[name], up) for name, up in greater.items()) / total
            for seed in seeds
        ]
        for method, seeds in figures.items()
    }


def mean_of(seeds: Seeds) -> dict[str, float]:
    return {name: statistics.fmean(seed[name] for seed in seeds) for name in seeds[0]}


def stand(figures: Mapping[str, Seeds], greater: Mapping[str, bool], weights: Mapping[str, float]) -> list[Standing]:
    """The methods' standings, the best first. greater: dimension -> whether its greater values are better."""
    scores = scores_of(figures, greater, weights)
    told = [method for method, seeds in figures.items() if len(seeds) >= LEAST_SEEDS]
    intervals = {
        method: {name: interval([seed[name] for seed in figures[method]]) for name in greater} for method in told
    }

    def beats(one: str, other: str) -> bool:
        return dominates(intervals[one], intervals[other], greater)

    ranks = fronts(told, beats)
    spans = {method: interval(scores[method]) for method in told if scores}
    placed = places(spans)
    standings = [
        Standing(
            method=method,
            seeds=len(seeds),
            figures=mean_of(seeds),
            intervals=intervals.get(method, {}),
            score=statistics.fmean(scores[method]) if scores else None,
            score_interval=spans.get(method),
            rank=ranks.get(method),
            place=placed.get(method),
            dominated_by=tuple(other for other in ranks if method in ranks and beats(other, method)),
            tied=tuple(ties(spans, method)) if method in spans else (),
        )
        for method, seeds in figures.items()
    ]
    return sorted(standings, key=order)


def order(standing: Standing) -> tuple[float, float]:
    """By place, then by score: the best first, and those without a place last."""
    return (standing.place or math.inf, -(standing.score or 0.0))
