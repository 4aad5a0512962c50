"""Linear layers by oneDNN: the same numbers, only where they are the same, and only within."""

from copy import deepcopy

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import PeftWarning
from tiny_trainees import bare_trainee, tiny_recipe, tiny_trainee
from torch import nn
from transformers.pytorch_utils import Conv1D

from bench.methods import NF4
from bench.probes import PROBES
from bench.sources.tokenizer import byte_tokenizer
from bench.worker.ask import onednn
from bench.worker.ask.onednn import linear_layers_by_onednn
from bench.worker.ask.questions import ask, reading_only, text_losses
from bench.worker.build.attention import FUSED, attention_by
from bench.worker.build.packed_layers import packed_linear

SUM_TOLERANCE = 1e-5  # float32 sums of 1024 products near 1 in another order
BATCH_TOLERANCE = 1e-4  # the same through a model, in nats
ITEMS = PROBES["decimals"].items[:6]
TOKENIZER = byte_tokenizer()
needs_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch is built without oneDNN")


class Model(nn.Module):
    """One layer large enough, and one too small."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.large, self.small = nn.Linear(1024, 256), nn.Linear(256, 8)

    def forward(self, read):
        return self.small(self.large(read))


def lora_of(targets=("large", "small"), **options):
    return LoraConfig(r=4, target_modules=list(targets), init_lora_weights=False, **options)


def adapted(**options):
    """The model with a LoRA that changes what it gives."""
    return get_peft_model(Model(), lora_of(**options)).eval()


def merged():
    model = adapted()
    model.merge_adapter()
    return model


def with_two_adapters():
    model = adapted()
    model.add_adapter("other", lora_of())
    model.base_model.set_adapter(["default", "other"])
    return model


def with_an_adapter_on_another_layer():
    model = adapted(targets=["small"])
    model.add_adapter("other", lora_of(targets=["large"]))
    return model


def with_an_adapter_in_bfloat16():
    model = adapted(targets=["large"])
    for part in (model.base_model.model.large.lora_A, model.base_model.model.large.lora_B):
        part.to(torch.bfloat16)
    return model


def with_large(layer):
    model = Model()
    model.large = layer
    return model


def transposed():
    """As GPT-2 keeps its matrices."""
    return with_large(Conv1D(256, 1024))


def packed():
    large = Model().large
    return with_large(packed_linear(large.weight.data, large.bias.data, NF4, torch.float32, "cpu"))


def squaring():
    class Squaring(nn.Linear):
        def forward(self, read):
            return super().forward(read) ** 2

    return with_large(Squaring(1024, 256))


def given(model):
    torch.manual_seed(1)
    with torch.no_grad():
        return model(torch.randn(3, 5, 1024))


def computed_by_onednn(model):
    """Names of the modules that compute otherwise than their class."""
    return [
        name.removeprefix("base_model.model.") for name, module in model.named_modules() if "forward" in vars(module)
    ]


@needs_onednn
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (Model, ["large"]),
        (adapted, ["large", "small"]),
        (lambda: adapted(use_rslora=True), ["large", "small"]),
        (lambda: adapted(targets=["small"]), ["large", "small"]),
        (lambda: adapted(use_dora=True), ["large", "small"]),
        (lambda: adapted(lora_bias=True), ["large", "small"]),
        (with_two_adapters, ["large", "small"]),
        (with_an_adapter_on_another_layer, ["large", "small"]),
        (with_an_adapter_in_bfloat16, ["large.base_layer"]),
        (merged, ["large", "small"]),
        (transposed, ["large"]),
        (packed, ["large"]),
        (squaring, []),
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
@pytest.mark.parametrize("make", [adapted, merged])
def test_an_adapter_switched_off_stays_off(make):
    model, plain = make(), adapted()
    with plain.disable_adapter():
        expected = given(plain)
    with model.disable_adapter(), linear_layers_by_onednn(model):
        assert torch.allclose(given(model), expected, atol=SUM_TOLERANCE)
    assert not torch.allclose(given(adapted()), expected, atol=SUM_TOLERANCE)


@needs_onednn
def test_a_layer_in_bfloat16_is_left_alone():
    model = with_large(nn.Linear(1024, 256, dtype=torch.bfloat16))
    with linear_layers_by_onednn(model):
        assert computed_by_onednn(model) == []


@needs_onednn
def test_as_many_layers_are_copied_as_there_is_room_for(monkeypatch):
    monkeypatch.setattr(onednn, "MOST_WEIGHTS", 1024 * 256)
    model = adapted()
    with linear_layers_by_onednn(model):
        assert computed_by_onednn(model) == ["large"]
    monkeypatch.setattr(onednn, "MOST_WEIGHTS", 1024 * 256 - 1)
    with linear_layers_by_onednn(model):
        assert computed_by_onednn(model) == ["small"]


@needs_onednn
def test_random_numbers_drawn_after_are_as_without():
    model = adapted()
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    with linear_layers_by_onednn(model):
        assert torch.equal(torch.rand(3), expected)


@needs_onednn
@pytest.mark.parametrize(("make", "hooked"), [(Model, "large"), (adapted, "base_model.model.large")])
def test_a_forward_of_its_own_is_kept(make, hooked):
    """As accelerate's hooks give it."""
    model = make()
    layer = model.get_submodule(hooked)
    own = layer.forward = layer.forward
    with linear_layers_by_onednn(model):
        assert layer.forward is own
    assert vars(layer)["forward"] is own


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


def moved(model, method):
    """A trainee whose trained weights are others than at the start, ready to be asked."""
    trainee = tiny_trainee(model, method, tiny_recipe(model, method))
    torch.manual_seed(0)
    for parameter in trainee.model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.02 * torch.randn_like(parameter)
    trainee.model.eval()
    return trainee


@needs_onednn
@pytest.mark.parametrize("method", ["lora_all", "dora", "adalora", "vera", "hira", "pissa", "ia3", "qlora", "qdora"])
@pytest.mark.parametrize("model", ["tiny_llama", "tiny_gpt2"])
def test_every_layer_of_an_adapter_is_replaced(model, method):
    """With it what is inside, a packed weight or one that GPT-2 keeps transposed."""
    trainee = moved(model, method)
    with linear_layers_by_onednn(trainee.model):
        layers = [module for module in trainee.model.modules() if isinstance(module, BaseTunerLayer)]
        assert layers
        assert all("forward" in vars(layer) for layer in layers)


@needs_onednn
@pytest.mark.parametrize("method", ["lora_all", "dora", "adalora", "vera", "hira", "pissa", "ia3"])
@pytest.mark.parametrize("model", ["tiny_llama", "tiny_gpt2"])
def test_adapters_in_float32_are_merged(model, method, monkeypatch):
    trainee = moved(model, method)
    tried = []
    monkeypatch.setattr(onednn, "by_identity", tried.append)  # by which no product is found then
    with linear_layers_by_onednn(trainee.model):
        assert computed_by_onednn(trainee.model)
    assert tried == []


@needs_onednn
def test_what_cannot_be_merged_is_fed_the_identity():
    """LoRA's bias, where the layer has none that it could be added to."""
    with pytest.warns(PeftWarning, match="bias"):
        model = get_peft_model(with_large(nn.Linear(1024, 256, bias=False)), lora_of(["large"], lora_bias=True)).eval()
    large = model.base_model.model.large
    with pytest.raises(RuntimeError, match="Impossible to merge"):
        deepcopy(large).merge()
    before = given(model)
    with linear_layers_by_onednn(model):
        assert computed_by_onednn(model) == ["large"]
        assert torch.allclose(given(model), before, atol=SUM_TOLERANCE)


@needs_onednn
def test_an_adapter_that_is_switched_off_is_not_merged_however_little_it_changes():
    model = adapted(targets=["large"])
    large = model.base_model.model.large
    with torch.no_grad():
        large.lora_B["default"].weight.mul_(1e-7)
        with model.disable_adapter():
            weight, _ = onednn.by_weight(large)
        assert torch.equal(weight, large.weight)
        assert not torch.equal(onednn.by_weight(large)[0], weight)


@needs_onednn
def test_a_layer_in_8_bits_quantises_what_it_reads_and_is_left_alone():
    trainee = moved("tiny_llama", "lora_int8")
    with linear_layers_by_onednn(trainee.model):
        assert computed_by_onednn(trainee.model) == []


@needs_onednn
def test_a_hook_is_applied_once():
    model = adapted()
    model.base_model.model.large.register_forward_hook(lambda module, read, gave: 2 * gave)
    before = given(model)
    with linear_layers_by_onednn(model):
        assert "large" in computed_by_onednn(model)
        assert torch.allclose(given(model), before, atol=2 * SUM_TOLERANCE)


@needs_onednn
def test_a_layer_in_two_places_is_replaced_once():
    model = Model()
    model.again = model.large
    with linear_layers_by_onednn(model):
        assert computed_by_onednn(model) == ["large"]
    assert computed_by_onednn(model) == []


@needs_onednn
@pytest.mark.parametrize("method", ["lora_all", "dora", "ia3", "qlora", "prefix", "full", "head"])
@pytest.mark.parametrize("model", ["tiny_llama", "tiny_gpt2"])
def test_a_model_replies_as_before(model, method, monkeypatch):
    """A tied head, LoRA and other adapters inside of whole models."""
    monkeypatch.setattr(onednn, "MIN_WEIGHTS", 1)
    trainee = moved(model, method)
    texts, most = ["Rain fell.", "It rained for a long time."], [4] * len(ITEMS)
    with attention_by(trainee.model, FUSED):
        before, losses = ask(trainee, TOKENIZER, ITEMS, most), text_losses(trainee, TOKENIZER, texts)
    with reading_only(trainee):
        assert computed_by_onednn(trainee.model)
        after, losses_after = ask(trainee, TOKENIZER, ITEMS, most), text_losses(trainee, TOKENIZER, texts)
    assert [reply.text for reply in after] == [reply.text for reply in before]
    for one, other in zip(after, before, strict=True):
        assert one.choice_nats == pytest.approx(other.choice_nats, abs=BATCH_TOLERANCE)
    assert [one["loss"] for one in losses_after] == pytest.approx([one["loss"] for one in losses], abs=BATCH_TOLERANCE)


@needs_onednn
@pytest.mark.parametrize(("precision", "replaced"), [("float32", True), ("bfloat16", False)])
def test_only_a_case_in_float32_is_asked_by_onednn(precision, replaced, monkeypatch):
    """Of a model that trains itself weights are float32 in either; autocast computes in bfloat16."""
    monkeypatch.setattr(onednn, "MIN_WEIGHTS", 1)
    trainee = bare_trainee("tiny_llama", "full", tiny_recipe(method="full", precision=precision))
    with reading_only(trainee):
        assert bool(computed_by_onednn(trainee.model)) == replaced
