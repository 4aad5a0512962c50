"""One score for the edge: memory, disk, training time, answer quality and truth of each method, joined.

Source 003 wishes for a metric that joins them. Two answers are given, for each task × model × device and size
of data. The Pareto rank needs no weights: 1 where no method is better in one of the five and worse in none.
The weighted score does: each figure is a share of the group's best (1 is the best, 0.5 costs twice as much or
is half as good), and the score is their weighted mean. Both count a difference only where the intervals over
seeds do not overlap; a method with one seed has no rank, for its noise is not known.
"""

from bench.judge.score.compare import Comparison, compare
from bench.judge.score.dimensions import DIMENSIONS, WEIGHTS, parse_weights
from bench.judge.score.standing import Standing

__all__ = ["DIMENSIONS", "WEIGHTS", "Comparison", "Standing", "compare", "parse_weights"]
