"""Counts for each held-out example, from stored predictions, and the metrics of their sums.

A quality figure with such counts can be resampled over examples: a bootstrap weights the rows and computes the metric
from the weighted sums.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from bench.records.stored import Stored

if TYPE_CHECKING:  # pytest collects without numpy
    import numpy as np

    Counts = Callable[[Stored], np.ndarray]  # (examples, columns)
    Metric = Callable[[np.ndarray], np.ndarray]  # (…, columns) -> (…)


def span_counts(stored: Stored) -> np.ndarray:
    """(sentences, 3): gold spans, predicted spans, and spans in both, as seqeval counts them on bare tags.

    A span's type is the tag without its first character; neighbours of one type form one span.
    """
    import numpy as np
    from seqeval.metrics.sequence_labeling import get_entities

    names = stored.record.tables["confusion"]["labels"]
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # seqeval warns for every tag without a B- or I- prefix
        for example in stored.examples:
            gold, predicted = (set(get_entities([names[i] for i in example[key]])) for key in ("gold", "predicted"))
            rows.append((len(gold), len(predicted), len(gold & predicted)))
    return np.array(rows, dtype=float)


def word_counts(stored: Stored) -> np.ndarray:
    """(sentences, 2): words, and words with the right tag; a word without a prediction is wrong."""
    import numpy as np

    return np.array(
        [
            (len(e["gold"]) + len(e.get("unscored", ())), sum(map(operator.eq, e["gold"], e["predicted"])))
            for e in stored.examples
        ],
        dtype=float,
    )


def token_counts(key: str) -> Counts:
    """(examples, 2): scored tokens, and the sum of this key over them: their loss, or the number that are right."""

    def counts(stored: Stored) -> np.ndarray:
        import numpy as np

        return np.array([(e.get("tokens", len(e.get("gold", ()))), e[key]) for e in stored.examples], dtype=float)

    return counts


def span_f1(sums: np.ndarray) -> np.ndarray:
    return 2 * sums[..., 2] / (sums[..., 0] + sums[..., 1])


def second_over_first(sums: np.ndarray) -> np.ndarray:
    return sums[..., 1] / sums[..., 0]
