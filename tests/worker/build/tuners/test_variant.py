"""What peft allows without promising it: an adapter of a kind that it does not know is built, saved, loaded, merged."""

from dataclasses import dataclass

import pytest
import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
from tiny_trainees import tiny_base, tiny_recipe
from transformers.pytorch_utils import Conv1D

from bench.models import MODELS
from bench.worker.build.tuners.variant import KnownUpdate, layers_with, register

KIND = "TOY_OF_A_TEST"
CLOSE = 1e-5


class Doubled(KnownUpdate):
    """LoRA twice as large."""

    @staticmethod
    def forward(module, active_adapter, x, result, **more):
        low = module.lora_A[active_adapter](x)
        return result + 2 * module.scaling[active_adapter] * module.lora_B[active_adapter](low)

    @staticmethod
    def update(module, adapter):
        return 2 * module.scaling[adapter] * module.lora_B[adapter].weight @ module.lora_A[adapter].weight


@dataclass
class ToyConfig(LoraConfig):
    def __post_init__(self):
        super().__post_init__()
        self.peft_type = KIND
        self._register_custom_module(layers_with(Doubled))


@pytest.fixture
def registered(monkeypatch):
    for mapping in (PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING):
        monkeypatch.setitem(mapping, KIND, None)  # taken away after the test
    register(KIND, ToyConfig)


@torch.no_grad()
def logits(model):
    return model.eval()(input_ids=torch.arange(8, 24)[None]).logits


@pytest.mark.parametrize("model", ["tiny_llama", "tiny_gpt2"])
def test_a_variant_of_an_unknown_kind_lives_as_any_adapter(model, registered, tmp_path):
    base = tiny_base(model, "lora", tiny_recipe(model))
    before = logits(base)
    targets = list(MODELS[model].family.all_linear)
    tuned = get_peft_model(base, ToyConfig(r=4, lora_alpha=8, target_modules=targets, init_lora_weights=False))
    expected = logits(tuned)
    assert not torch.allclose(expected, before, atol=1e-3)
    with tuned.disable_adapter():
        assert torch.equal(logits(tuned), before)
    tuned.save_pretrained(tmp_path)
    assert PeftConfig.from_pretrained(tmp_path).peft_type == KIND
    read = PeftModel.from_pretrained(tiny_base(model, "lora", tiny_recipe(model)), tmp_path)
    assert torch.equal(logits(read), expected)
    assert any(isinstance(layer, Conv1D) for layer in read.modules()) is MODELS[model].family.transposed
    read.merge_adapter()
    assert torch.allclose(logits(read), expected, atol=CLOSE)
    read.unmerge_adapter()
    assert torch.allclose(logits(read), expected, atol=CLOSE)
    assert torch.allclose(logits(read.merge_and_unload()), expected, atol=CLOSE)
