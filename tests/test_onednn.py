"""Linear layers by oneDNN: the same numbers, only where they are the same, and only within."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny_trainees import tiny_recipe, tiny_trainee
from torch import nn

from bench import onednn
from bench.asking import reading_only
from bench.onednn import linear_layers_by_onednn

SUM_TOLERANCE = 1e-5  # float32 sums of 512 products near 1 in another order
needs_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch is built without oneDNN")


class Model(nn.Module):
    """One layer worth it, and one too small."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.large, self.small = nn.Linear(512, 256), nn.Linear(256, 8)

    def forward(self, read):
        return self.small(self.large(read))


def adapted(**options):
    """The model with a LoRA on either layer that changes what it gives."""
    return get_peft_model(
        Model(), LoraConfig(r=4, target_modules=["large", "small"], init_lora_weights=False, **options)
    ).eval()


def given(model):
    torch.manual_seed(1)
    with torch.no_grad():
        return model(torch.randn(3, 5, 512))


def computed_by_onednn(model):
    """Names of the modules that compute otherwise than their class."""
    return [name for name, module in model.named_modules() if "forward" in vars(module)]


@needs_onednn
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (Model, ["large"]),
        (adapted, ["base_model.model.large"]),
        (lambda: adapted(use_rslora=True), ["base_model.model.large"]),
        (lambda: adapted(use_dora=True), ["base_model.model.large.base_layer"]),
        (lambda: adapted(lora_bias=True), ["base_model.model.large.base_layer"]),
    ],
)
def test_what_a_model_gives_is_what_it_gave(make, expected):
    model = make()
    before = given(model)
    with linear_layers_by_onednn(model):
        assert computed_by_onednn(model) == expected
        assert torch.allclose(given(model), before, atol=SUM_TOLERANCE)
    assert computed_by_onednn(model) == []
    assert torch.equal(given(model), before)


@needs_onednn
def test_an_adapter_switched_off_stays_off():
    model = adapted()
    with model.disable_adapter():
        before = given(model)
        with linear_layers_by_onednn(model):
            assert torch.allclose(given(model), before, atol=SUM_TOLERANCE)
    assert not torch.allclose(given(model), before, atol=SUM_TOLERANCE)


@needs_onednn
def test_an_adapter_in_bfloat16_rounds_as_before():
    model = adapted()
    model.base_model.model.large.lora_B["default"].to(torch.bfloat16)
    with linear_layers_by_onednn(model):
        assert computed_by_onednn(model) == ["base_model.model.large.base_layer"]


@needs_onednn
def test_what_is_no_plain_layer_of_float32_is_left_alone():
    class Doubling(nn.Linear):
        def forward(self, read):
            return 2 * super().forward(read)

    model = nn.ModuleList([Doubling(512, 256), nn.Linear(512, 256, dtype=torch.bfloat16), nn.Linear(512, 256)])
    hooked = model[2].forward = model[2].forward
    with linear_layers_by_onednn(model):
        assert computed_by_onednn(model) == ["2"]
        assert model[2].forward is hooked
    assert computed_by_onednn(model) == ["2"]


@needs_onednn
def test_after_an_error_a_model_is_as_before():
    model = Model()
    with pytest.raises(RuntimeError, match="lost"), linear_layers_by_onednn(model):
        raise RuntimeError("lost")
    assert computed_by_onednn(model) == []


def test_without_onednn_nothing_changes(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    model = Model()
    with linear_layers_by_onednn(model):
        assert computed_by_onednn(model) == []


@needs_onednn
@pytest.mark.parametrize(("precision", "reordered"), [("float32", True), ("bfloat16", False)])
def test_only_a_case_in_float32_is_asked_by_onednn(precision, reordered, monkeypatch):
    """Of a model that trains itself weights are float32 in either; autocast computes in bfloat16."""
    monkeypatch.setattr(onednn, "MIN_WEIGHTS", 1)
    trainee = tiny_trainee(method="full", recipe=tiny_recipe(method="full", precision=precision))
    with reading_only(trainee):
        assert bool(computed_by_onednn(trainee.model)) == reordered
