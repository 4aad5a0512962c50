"""Merging that cannot be undone, and merging into packed weights that loses or rescales the update, are seen."""

import pytest
import torch
from peft.tuners.ia3.layer import Linear as IA3Linear
from peft.tuners.lora.layer import Linear
from peft.tuners.tuners_utils import BaseTunerLayer
from tiny_trainees import tiny_recipe, tiny_trainee

from bench.methods import METHODS
from bench.methods.tolerances import PACKED_MERGE, PACKED_MERGE_FACTOR, UNIT_ROUNDING, unmerge_tolerance
from bench.models import MODELS
from bench.worker.check.merging import packed_merge_evidence, unmerge_evidence
from bench.worker.check.rebuilt import fill

MERGED = [method.name for method in METHODS if method.mergeable and not method.quantised]
PACKED = [method.name for method in METHODS if method.mergeable and method.quantised]
ROUNDINGS = 2 * UNIT_ROUNDING["float32"]


def filled(method, model="tiny_llama"):
    trainee = tiny_trainee(model, method, tiny_recipe(model, method))
    fill(trainee.model, trainee.method, "default", seed=1)
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
    assert seen["unmerge_distance"] <= unmerge_tolerance(METHODS[method])
    assert seen["merged_share"] > 0.01
    assert all(torch.equal(tensor, before[name]) for name, tensor in trainee.model.state_dict().items())


def in_bfloat16_and_barely_acting():
    """A base in bfloat16 with an update of about 1e-4 of its weights, which bfloat16 cannot hold."""
    model = filled("lora").model
    for layer in adapted_layers(model):
        layer.get_base_layer().bfloat16()
        layer.scaling["default"] *= 1e-4
    return model


def test_a_small_update_of_a_base_in_16_bits_is_merged_and_unmerged_exactly():
    seen = unmerge_evidence(in_bfloat16_and_barely_acting())
    assert seen["unmerge_distance"] <= ROUNDINGS
    assert 100 * ROUNDINGS < seen["merged_share"] < UNIT_ROUNDING["bfloat16"]


def test_unmerging_that_does_nothing_is_seen(monkeypatch):
    monkeypatch.setattr(Linear, "unmerge", lambda layer: layer.merged_adapters.clear())
    for model in (filled("lora").model, in_bfloat16_and_barely_acting()):
        assert unmerge_evidence(model)["unmerge_distance"] > 10 * ROUNDINGS


def test_merging_that_does_nothing_in_one_kind_of_layer_is_seen(monkeypatch):
    right = Linear.merge

    def forgetful(layer, **options):
        if layer.get_base_layer().out_features == 64:  # of the queries, and of a feed-forward layer's output
            layer.merged_adapters.append("default")
        else:
            right(layer, **options)

    monkeypatch.setattr(Linear, "merge", forgetful)
    assert unmerge_evidence(filled("lora_all").model)["merged_share"] == 0


def test_a_layer_whose_adapter_adds_nothing_has_no_share():
    model = filled("lora_all").model
    for layer in adapted_layers(model)[-1:]:
        torch.nn.init.zeros_(layer.lora_B["default"].weight)
    assert unmerge_evidence(model)["merged_share"] > 0.01


def test_unmerging_that_forgets_a_bias_is_seen(monkeypatch):
    right = IA3Linear.unmerge

    def forgetful(layer):
        bias = layer.get_base_layer().bias.detach().clone()
        right(layer)
        layer.get_base_layer().bias.data.copy_(bias)

    monkeypatch.setattr(IA3Linear, "unmerge", forgetful)
    model = filled("ia3", "tiny_bert").model
    for layer in adapted_layers(model):
        layer.get_base_layer().bias.data.fill_(1.0)
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
