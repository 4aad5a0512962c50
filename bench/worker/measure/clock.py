"""Statistics of step times: median, spread and tokens per second."""

import statistics
from collections.abc import Sequence
from typing import Any

WARM_UP_STEPS = 2  # kernels are chosen and caches filled in the first ones


def step_statistics(seconds: Sequence[float], tokens: Sequence[int], padded: Sequence[int]) -> dict[str, Any]:
    """Median and spread of seconds a step after the warm-up, and tokens a second without and with padding.

    The spread is the interquartile range; of fewer than four steps it is None.
    """
    start = WARM_UP_STEPS if len(seconds) > 2 * WARM_UP_STEPS else 0
    kept = list(seconds[start:])
    quartiles = statistics.quantiles(kept, n=4) if len(kept) >= 4 else None
    total = sum(kept)
    return {
        "seconds_per_step": statistics.median(kept),
        "seconds_per_step_iqr": quartiles[2] - quartiles[0] if quartiles else None,
        "tokens_per_second": sum(tokens[start:]) / total,
        "padded_tokens_per_second": sum(padded[start:]) / total,
        "steps_timed": len(kept),
        "warm_up_steps": start,
    }
