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
    [
        ("lora", 4.0),
        ("qlora", 4.0),
        ("pissa", 4.0),
        ("rslora", 8.0),
        ("dora", 4.0),
        ("rsdora", 8.0),
        ("adalora", 2.0),
        ("gralora", 4.0),
        ("lokr", 4.0),
        ("randlora", 40.0),
    ],
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


def test_miss_repeats_one_matrix_over_blocks_of_inputs():
    assert METHODS["miss"].formula(layer(miss_block=torch.tensor([[2.0, 3.0]])), 1.0).tolist() == [[4.0, 6.0]]


def test_gralora_has_b_a_of_its_own_in_each_block():
    down = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])  # by block of inputs: its input, and a column for each output
    up = torch.tensor([[[5.0], [6.0]], [[7.0], [8.0]]])  # by block of outputs: a row for each block of inputs
    expected = [[1.0 * 5 + 3.0 * 6, 2.0 * 7 + 4.0 * 8]]
    assert METHODS["gralora"].formula(layer(gralora_A=down, gralora_B=up), 1.0).tolist() == expected


def test_oft_rotates_inputs_by_a_series_for_cayleys_formula():
    # Q = [[0, 1/2], [-1/2, 0]] and Q Q = -1/4, so that R = 9/16 + 3/2 Q
    rotated = torch.tensor([[9 / 16 - 3 / 4, 9 / 16 + 3 / 4]])
    expected = (rotated - X) @ W.T
    torch.testing.assert_close(METHODS["oft"].formula(layer(oft_R=torch.tensor([[0.5]])), 1.0), expected)


def test_c3as_rows_are_each_the_one_above_shifted():
    narrow = AdaptedLayer(torch.tensor([[1.0, 0.0, 0.0]]), torch.zeros(1, 3), None,
                          {"c3a_kernel": torch.tensor([[[3.0, 6.0, 9.0]]])}, lambda: W)  # fmt: skip
    assert METHODS["c3a"].formula(narrow, 1.0).tolist() == [[1.0, 3.0, 2.0]]


def test_shira_adds_single_weights():
    parts = {"shira_indices": torch.tensor([[0.0], [1.0]]), "shira_weight": torch.tensor([5.0])}
    assert METHODS["shira"].formula(layer(**parts), 1.0).tolist() == [[5.0, 0.0]]


def test_lokr_is_a_kronecker_product():
    parts = {"lokr_w1": torch.tensor([[2.0]]), "lokr_w2": torch.tensor([[1.0, 2.0], [3.0, 4.0]])}
    assert METHODS["lokr"].formula(layer(**parts), 2.0).tolist() == [[12.0, 28.0]]
    low = {"lokr_w1": torch.tensor([[2.0]]), "lokr_w2_a": B, "lokr_w2_b": A}
    assert METHODS["lokr"].formula(layer(**low), 2.0).tolist() == [[0.0, 12.0]]


def test_randlora_scales_rows_and_columns_of_random_bases():
    parts = {
        "randlora_A": torch.ones(1, 1, 2), "randlora_B": torch.eye(2).unflatten(1, (2, 1)),
        "randlora_lambda": torch.tensor([[1.0, 2.0]]), "randlora_gamma": torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
    }  # fmt: skip
    assert METHODS["randlora"].formula(layer(**parts), 2.0).tolist() == [[6.0, 28.0]]


def test_every_mergeable_method_states_its_formula():
    assert [method.name for method in METHODS if method.mergeable and method.formula is None] == []
