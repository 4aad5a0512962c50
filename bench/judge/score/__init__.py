"""A score for edge devices that combines each method's memory, disk, training time, answer quality and truth.

Source 003 asks for a metric that combines them. There are two, for each task × model × device and size of data. The
Pareto rank needs no weights: it is 1 if no method is better in one of the five and worse in none. The weighted score
needs them: each figure is a share of the group's best (1 is the best, 0.5 costs twice as much or is half as good), and
the score is their weighted mean. Both count a difference only if the intervals over seeds do not overlap; a method with
one seed has no rank, because its noise is unknown.
"""

from bench.judge.score.compare import Comparison, compare
from bench.judge.score.dimensions import DIMENSIONS, WEIGHTS, parse_weights
from bench.judge.score.standing import Standing

__all__ = ["DIMENSIONS", "WEIGHTS", "Comparison", "Standing", "compare", "parse_weights"]
