"""Seconds per generated token of the base, and of the tuned model with its adapter unmerged and merged.

The three take turns, so that whatever else the machine does meets them alike.
"""

import copy
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.core.recipe import Recipe
from bench.worker.build.precision import autocast
from bench.worker.device import synchronise

ROUNDS = 7
NEW_TOKENS = 8
PROMPT_TOKENS = 32


def seconds_per_token(model: Any, ids: Tensor, recipe: Recipe, device: str) -> float:
    """Of one greedy answer of NEW_TOKENS tokens to one prompt; reading the prompt is in it."""
    synchronise(device)
    started = time.perf_counter()
    with torch.no_grad(), autocast(recipe, device):
        model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=NEW_TOKENS,
            min_new_tokens=NEW_TOKENS,
            do_sample=False,
            use_cache=True,
            pad_token_id=0,
        )
    synchronise(device)
    return (time.perf_counter() - started) / NEW_TOKENS


def timings(tuned: Any, make_base: Callable[[], Any], ids: Tensor, recipe: Recipe, device: str) -> dict[str, Any]:
    """For base, unmerged and merged: median seconds_per_token, iqr and rounds. All three are held at once.

    ids is (1, length); the first round is a warm-up.
    """
    merged = copy.deepcopy(tuned).merge_and_unload()
    models = {"base": make_base(), "unmerged": tuned, "merged": merged}
    found: dict[str, list[float]] = {name: [] for name in models}
    training = tuned.training
    for number in range(ROUNDS + 1):
        for name, model in models.items():
            seconds = seconds_per_token(model.eval(), ids, recipe, device)
            if number:
                found[name].append(seconds)
    tuned.train(training)
    return {name: spread(seconds) for name, seconds in found.items()}


def spread(seconds: list[float]) -> dict[str, float]:
    low, middle, high = np.quantile(seconds, [0.25, 0.5, 0.75])
    return {"seconds_per_token": float(middle), "iqr": float(high - low), "rounds": len(seconds)}
