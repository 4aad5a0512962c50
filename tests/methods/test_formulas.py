"""Formulas of the methods' papers, on matrices small enough to compute by hand."""

from dataclasses import replace

import pytest
import torch

from bench.core.paths import RECIPES
from bench.methods import METHODS
from bench.methods.formulas import AdaptedLayer
from bench.recipes.files import read_defaults

RECIPE = replace(read_defaults(RECIPES)[0], rank=4, alpha=16.0, initial_rank=8)
W = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
A, B = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0], [1.0]])
X = torch.tensor([[1.0, 1.0]])


def layer(bias=None, **parts):
    outputs = X @ W.T if bias is None else X @ W.T + bias
    return AdaptedLayer(X, outputs, bias, parts, lambda: W)


@pytest.mark.parametrize(
    ("method", "scale"),
    [("lora", 4.0), ("qlora", 4.0), ("pissa", 4.0), ("rslora", 8.0), ("dora", 4.0), ("adalora", 2.0)],
)
def test_scale_is_the_papers(method, scale):
    assert METHODS[method].scale.of(RECIPE) == scale


def test_lora_adds_scaled_b_a_x():
    assert METHODS["lora"].formula(layer(lora_A=A, lora_B=B), 4.0).tolist() == [[0.0, 12.0]]


def test_dora_divides_by_the_norm_of_each_output():
    parts = {"lora_A": A, "lora_B": B, "lora_magnitude_vector": torch.tensor([6.0, 13.0])}
    bias = torch.tensor([100.0, 100.0])  # stays as it is
    # W + B A is [[3, 0], [1, 6]]: norms 3 and sqrt(37)
    expected = torch.tensor([[6.0 - 3.0, 13.0 / 37**0.5 * 7.0 - 4.0]])
    torch.testing.assert_close(METHODS["dora"].formula(layer(bias, **parts), 1.0), expected)


def test_adalora_scales_each_direction_by_its_value():
    parts = {"lora_A": A, "lora_B": B, "lora_E": torch.tensor([[0.5]])}
    assert METHODS["adalora"].formula(layer(**parts), 2.0).tolist() == [[0.0, 3.0]]


def test_hira_multiplies_w_element_by_element():
    assert METHODS["hira"].formula(layer(hira_A=A, hira_B=B), 1.0).tolist() == [[0.0, 8.0]]


def test_vera_takes_as_much_of_the_shared_matrices_as_the_layer_is_wide():
    wide = {"vera_A": torch.tensor([[1.0, 2.0, 9.0]]), "vera_B": torch.tensor([[5.0], [1.0], [9.0]])}
    parts = {**wide, "vera_lambda_d": torch.tensor([2.0]), "vera_lambda_b": torch.tensor([0.0, 1.0])}
    assert METHODS["vera"].formula(layer(**parts), 1.0).tolist() == [[0.0, 6.0]]


def test_ia3_rescales_outputs_by_a_column_and_inputs_by_a_row():
    bias = torch.tensor([1.0, 1.0])
    outputs, inputs = torch.tensor([[2.0], [1.0]]), torch.tensor([[2.0, 1.0]])
    assert METHODS["ia3"].formula(layer(bias, ia3_l=outputs), 1.0).tolist() == [[4.0, 0.0]]
    assert METHODS["ia3"].formula(layer(bias, ia3_l=inputs), 1.0).tolist() == [[3.0, 0.0]]


def test_every_mergeable_method_states_its_formula():
    assert [method.name for method in METHODS if method.mergeable and method.formula is None] == []
