"""ResLoRA's shortcuts join layers of one kind, and its FLOPs are counted on the whole model."""

from dataclasses import replace

import pytest
from tiny_trainees import tiny_recipe, tiny_trainee
from torch import nn

from bench.methods import ADAPTER_NAME
from bench.methods.derived import BEFORE
from bench.models import MODELS
from bench.worker.build.tuners.reslora import ResLoraConfig, ResLoraModel
from bench.worker.measure.outline import are_alike, layers_of


@pytest.fixture
def deep(monkeypatch):
    entry = replace(MODELS["tiny_llama"], config={**MODELS["tiny_llama"].config, "num_hidden_layers": 4})
    monkeypatch.setitem(MODELS._entries, "tiny_llama", entry)
    return entry


@pytest.mark.parametrize(("shortcuts", "expected"), [(0, [0, 0, 0, 0]), (2, [0, 1, 2, 2]), (4, [0, 1, 2, 3])])
def test_each_layer_sees_those_of_its_kind_before_it(shortcuts, expected, deep):
    model = tiny_trainee(method="reslora", recipe=tiny_recipe(method="reslora", shortcuts=shortcuts)).model
    layers = layers_of(model, deep)
    for kind in ("q_proj", "k_proj"):
        own = [getattr(layer.self_attn, kind) for layer in layers]
        assert [len(vars(one)[BEFORE]) for one in own] == expected
        assert all(set(vars(one)[BEFORE]) <= set(own[:at]) for at, one in enumerate(own))
    assert are_alike(layers) is (shortcuts == 0)


def test_names_that_differ_by_a_number_are_of_two_kinds():
    """T5's feed-forward has wi_0 and wi_1."""
    base = nn.ModuleDict({f"wi_{number}": nn.Linear(4, 4) for number in (0, 1)})
    layers = ResLoraModel(base, ResLoraConfig(target_modules=["wi_0", "wi_1"]), ADAPTER_NAME).model
    assert [vars(layer)[BEFORE] for layer in layers.values()] == [(), ()]


def test_a_neighbour_is_no_child_and_is_saved_once(deep):
    model = tiny_trainee(method="reslora").model
    names = [name for name, _ in model.named_parameters()]
    assert not [name for name in names if BEFORE in name]
    assert sum("lora_A" in name for name in names) == 4 * 7
