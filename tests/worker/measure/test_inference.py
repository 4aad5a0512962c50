"""Seconds per generated token are of the base, the unmerged and the merged model, in turns."""

import pytest
import torch
from tiny_trainees import tiny_recipe

from bench.methods import METHODS
from bench.models import MODELS
from bench.sources import find_weights
from bench.worker.build.adapter import attach
from bench.worker.build.base import prepare_base
from bench.worker.measure import inference

ENTRY, METHOD = MODELS["tiny_llama"], METHODS["lora"]


@pytest.fixture
def clocked(monkeypatch):
    """Which models were asked, in order; a round takes no time."""
    asked = []
    monkeypatch.setattr(inference, "ROUNDS", 2)

    def count(model, *rest):
        asked.append(model)
        return float(len(asked))

    monkeypatch.setattr(inference, "seconds_per_token", count)
    return asked


def base():
    recipe = tiny_recipe()
    return prepare_base(ENTRY, find_weights(ENTRY, None), 0, METHOD, recipe, 0, "cpu")


def test_three_models_take_turns_and_the_first_round_warms_up(clocked):
    tuned = attach(base(), ENTRY, METHOD, tiny_recipe(), 1, 0)
    found = inference.timings(tuned, base, torch.ones(1, 4, dtype=torch.long), tiny_recipe(), "cpu")
    assert [clocked[at] is tuned for at in range(9)] == [False, True, False] * 3
    assert not hasattr(clocked[2], "peft_config")
    assert found["base"] == {"seconds_per_token": 5.5, "iqr": 1.5, "rounds": 2}
    assert found["merged"]["seconds_per_token"] == 7.5


def test_a_token_takes_time():
    seconds = inference.seconds_per_token(base().eval(), torch.ones(1, 4, dtype=torch.long), tiny_recipe(), "cpu")
    assert 0 < seconds < 10
