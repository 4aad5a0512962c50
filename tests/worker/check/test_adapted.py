"""Adapted layers: one of each kind, and their tensors as a formula needs them."""

import pytest
import torch
from tiny_trainees import tiny_recipe, tiny_trainee

from bench.worker.check.adapted import inputs_of, one_of_each_kind, parts_of, weight_of


@pytest.mark.parametrize(
    ("model", "method", "kinds"),
    [("tiny_llama", "lora", 2), ("tiny_llama", "lora_all", 7), ("tiny_bert", "lora_all", 6), ("tiny_gpt2", "ia3", 2)],
)
def test_last_layer_of_each_kind_stands_for_all(model, method, kinds):
    layers = one_of_each_kind(tiny_trainee(model, method).model)
    assert len(layers) == kinds
    assert all(".1." in name for name in layers)


def test_prompts_adapt_no_layer():
    assert one_of_each_kind(tiny_trainee("tiny_llama", "prompt").model) == {}


@pytest.mark.parametrize(
    ("method", "names"),
    [
        ("lora", {"lora_A", "lora_B"}),
        ("dora", {"lora_A", "lora_B", "lora_magnitude_vector"}),
        ("adalora", {"lora_A", "lora_B", "lora_E", "ranknum"}),
        ("hira", {"hira_A", "hira_B"}),
        ("ia3", {"ia3_l"}),
        ("vera", {"vera_A", "vera_B", "vera_lambda_b", "vera_lambda_d"}),
    ],
)
def test_parts_have_the_names_of_peft(method, names):
    for layer in one_of_each_kind(tiny_trainee("tiny_llama", method).model).values():
        assert parts_of(layer).keys() == names


@pytest.mark.parametrize("method", ["lora_all", "qlora", "lora_int8"])
@pytest.mark.parametrize("model", ["tiny_llama", "tiny_gpt2"])
def test_weight_gives_what_the_base_gives(model, method):
    trainee = tiny_trainee(model, method, tiny_recipe(model, method))
    for layer in one_of_each_kind(trainee.model).values():
        base = layer.get_base_layer()
        weight = weight_of(layer)
        inputs = torch.eye(weight.shape[1])
        outputs = base(inputs) - (0 if base.bias is None else base.bias)
        torch.testing.assert_close(outputs, weight.T, atol=2e-3, rtol=0)


def test_inputs_are_read_and_the_model_is_left_as_it_was():
    model = tiny_trainee().model
    layers = one_of_each_kind(model)
    ids = torch.ones(2, 5, dtype=torch.long)
    read = inputs_of(layers, lambda: model(input_ids=ids))
    assert {name: tuple(tensor.shape) for name, tensor in read.items()} == dict.fromkeys(layers, (10, 64))
    assert not any(layer._forward_pre_hooks for layer in layers.values())
