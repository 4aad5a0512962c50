"""Merging that cannot be undone, and merging into packed weights that loses or rescales the update, are seen."""

import pytest
import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from tiny_trainees import tiny_recipe, tiny_trainee

from bench.methods import METHODS
from bench.methods.tolerances import PACKED_MERGE, PACKED_MERGE_FACTOR, UNIT_ROUNDING
from bench.models import MODELS
from bench.worker.check.merging import packed_merge_evidence, unmerge_evidence
from bench.worker.check.rebuilt import fill

MERGED = [method.name for method in METHODS if method.mergeable and not method.quantised]
PACKED = [method.name for method in METHODS if method.mergeable and method.quantised]
ROUNDINGS = 2 * UNIT_ROUNDING["float32"]


def filled(method, model="tiny_llama"):
    trainee = tiny_trainee(model, method, tiny_recipe(model, method))
    fill(trainee.model, trainee.method, "default")
    return trainee


def adapted_layers(model):
    return [module for module in model.modules() if isinstance(module, BaseTunerLayer)]


@pytest.mark.parametrize("model", ["tiny_llama", "tiny_gpt2"])
@pytest.mark.parametrize("method", MERGED)
def test_unmerging_gives_the_base_back(method, model):
    if not METHODS[method].suits(MODELS[model]):
        pytest.skip(f"{method} does not suit {model}")
    trainee = filled(method, model)
    before = {name: tensor.clone() for name, tensor in trainee.model.state_dict().items()}
    seen = unmerge_evidence(trainee.model)
    assert seen["unmerge_distance"] <= ROUNDINGS
    assert seen["merged_share"] > 0.01
    assert all(torch.equal(tensor, before[name]) for name, tensor in trainee.model.state_dict().items())


def test_unmerging_that_does_nothing_is_seen():
    model = filled("lora").model
    for layer in adapted_layers(model):
        layer.unmerge = layer.merged_adapters.clear
    assert unmerge_evidence(model)["unmerge_distance"] > 0.01


def test_unmerging_that_forgets_a_bias_is_seen():
    model = filled("ia3", "tiny_bert").model
    for layer in adapted_layers(model):
        right = layer.unmerge

        def forgetful(layer=layer, right=right):
            bias = layer.get_base_layer().bias.detach().clone()
            right()
            layer.get_base_layer().bias.data.copy_(bias)

        layer.get_base_layer().bias.data.fill_(1.0)
        layer.unmerge = forgetful
    assert unmerge_evidence(model)["unmerge_distance"] > 0.01


def packed(method, spoil=None, model="tiny_llama"):
    trainee = filled(method, model)
    for layer in adapted_layers(trainee.model):
        if spoil:
            spoil(layer)
    return packed_merge_evidence(trainee.model, METHODS[method], trainee.recipe)


@pytest.mark.parametrize("model", ["tiny_llama", "tiny_gpt2"])
@pytest.mark.parametrize("method", PACKED)
def test_merging_into_packed_weights_costs_one_packing(method, model):
    seen = packed(method, model=model)
    assert 0 < seen["packed_merge_distance"] <= PACKED_MERGE[METHODS[method].storage]
    assert abs(seen["packed_merge_factor"] - 1) <= PACKED_MERGE_FACTOR


@pytest.mark.parametrize("method", ["qlora", "lora_int8"])
def test_another_scale_in_packed_weights_is_seen(method):
    def spoil(layer):
        right = layer.get_delta_weight
        layer.get_delta_weight = lambda adapter: 1.1 * right(adapter)

    assert packed(method, spoil)["packed_merge_factor"] == pytest.approx(1.1, abs=PACKED_MERGE_FACTOR)


@pytest.mark.parametrize("method", ["qlora", "lora_int8"])
def test_weights_that_stay_as_they_were_are_seen(method):
    def spoil(layer):
        layer.merge = lambda **options: layer.merged_adapters.append("default")

    seen = packed(method, spoil)
    assert seen["packed_merge_factor"] == 0
    assert seen["packed_merge_distance"] > PACKED_MERGE[METHODS[method].storage]


def test_packed_scales_that_are_the_old_ones_are_seen():
    def spoil(layer):
        right = layer.merge

        def stale(**options):
            scales = layer.get_base_layer().weight.quant_state.absmax.clone()
            right(**options)
            layer.get_base_layer().weight.quant_state.absmax.copy_(scales)

        layer.merge = stale

    assert packed("qlora", spoil)["packed_merge_distance"] > PACKED_MERGE["nf4"]
