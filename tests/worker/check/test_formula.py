"""A layer that computes something else than its method's paper says is found, and its scale is read off."""

import pytest
import torch
from peft.tuners.lora.dora import DoraLinearLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from tiny_trainees import tiny_examples, tiny_recipe, tiny_trainee

from bench.methods import METHODS
from bench.methods.tolerances import formula_tolerance
from bench.worker.check import formula
from bench.worker.check.evidence import Probe
from bench.worker.check.formula import compared, formula_evidence
from bench.worker.check.rebuilt import fill

STATING = [method.name for method in METHODS if method.formula]


@pytest.fixture
def seen():
    """The evidence of a tiny model with a method, after a fault is planted in it."""

    def check(method, model="tiny_llama", spoil=None, **overrides):
        recipe = tiny_recipe(model, method, **overrides)
        trainee = tiny_trainee(model, method, recipe)
        fill(trainee.model, trainee.method, "default", seed=1)
        for layer in (module for module in trainee.model.modules() if isinstance(module, BaseTunerLayer)):
            if spoil:
                spoil(layer)
        trainee.model.train()
        probe = Probe(trainee.batching, "cpu", tiny_examples(model, 2)).short()
        found = formula_evidence(trainee.model, METHODS[method], recipe, probe)
        found["allowed"] = formula_tolerance(recipe.adapter_precision, found["formula_share"])
        return found

    return check


@pytest.mark.parametrize(("model", "method"), [*[("tiny_llama", method) for method in STATING], ("tiny_gpt2", "lora"),
                                               ("tiny_gpt2", "dora"), ("tiny_gpt2", "hira"), ("tiny_bert", "ia3")])  # fmt: skip
def test_peft_follows_the_paper(seen, model, method):
    found = seen(method, model)
    assert found["formula_distance"] <= found["allowed"]
    assert found["formula_scale"] == pytest.approx(found["formula_scale_expected"], rel=1e-2)
    assert found["formula_share"] > 0.01


def test_dropout_is_no_part_of_the_formula(seen):
    found = seen("lora", dropout=0.5)
    assert found["formula_distance"] <= found["allowed"]


def rescale(factor):
    def spoil(layer):
        layer.scaling = {name: factor * value for name, value in layer.scaling.items()}

    return spoil


@pytest.mark.parametrize("method", ["lora", "qlora", "lora_int8", "adalora", "pissa"])
def test_a_wrong_scale_is_seen_and_read_off(seen, method):
    found = seen(method, spoil=rescale(1.1))
    assert found["formula_distance"] > 100 * found["allowed"]
    assert found["formula_scale"] == pytest.approx(1.1 * found["formula_scale_expected"], rel=1e-3)


def test_rslora_scaled_as_lora_is_seen(seen):
    found = seen("rslora", spoil=rescale(8**-0.5))
    assert found["formula_scale"] == pytest.approx(2.0, rel=1e-3)
    assert found["formula_scale_expected"] == pytest.approx(16 / 8**0.5)


def test_a_wrong_scale_is_seen_in_an_adapter_of_16_bits(seen):
    assert seen("lora", adapter_precision="bfloat16")["formula_distance"] <= formula_tolerance("bfloat16", 1.0)
    found = seen("lora", adapter_precision="bfloat16", spoil=rescale(1.1))
    assert found["formula_distance"] > found["allowed"]


def test_a_missing_norm_of_dora_is_seen(seen, monkeypatch):
    monkeypatch.setattr(
        DoraLinearLayer, "get_weight_norm", lambda self, weight, *_, **__: torch.linalg.norm(weight, dim=1)
    )
    found = seen("dora")
    assert found["formula_distance"] > 100 * found["allowed"]


def test_one_faulty_kind_of_layer_is_named(seen):
    def spoil(layer):
        if layer.get_base_layer().in_features != 64:  # of a feed-forward layer's output
            rescale(1.1)(layer)

    assert seen("lora_all", spoil=spoil)["formula_layer"] == "model.layers.1.mlp.down_proj"


def test_the_layer_that_exceeds_its_own_tolerance_the_most_is_named(seen, monkeypatch):
    """A faulty layer with a tiny update, whose tolerance is wide, hides no faulty layer with a larger one."""
    figures = {"self_attn.q_proj": (0.5, 1.0, 3e-6), "self_attn.v_proj": (2e-5, 1.0, 1.0)}  # 1.5 and 10 times allowed
    chosen = iter(figures.values())
    monkeypatch.setattr(formula, "compared", lambda *tensors: next(chosen))
    found = seen("lora")
    assert found["formula_layer"] == "model.layers.1.self_attn.v_proj"
    assert found["formula_distance"] > found["allowed"]


def test_what_adds_nothing_is_no_distance_and_an_update_from_nowhere_is():
    zero, one = torch.zeros(2, 2), torch.ones(2, 2)
    assert compared(zero, zero, one) == (0.0, 1.0, 0.0)
    assert compared(one, zero, one)[0] == 1.0
    assert compared(zero, one, one)[0] == 1.0


def test_a_method_without_formula_has_no_evidence():
    recipe = tiny_recipe("tiny_llama", "prompt")
    trainee = tiny_trainee("tiny_llama", "prompt", recipe)
    assert formula_evidence(trainee.model, METHODS["prompt"], recipe, None) == {}
