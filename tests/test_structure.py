"""Looking into models tells what is so, and a broken method is seen: each look has a method that answers otherwise."""

from dataclasses import replace

import pytest
import torch

from bench import structure
from bench.claims.structural import LOOKS
from bench.methods import METHODS


@pytest.fixture
def broken():
    """A LoRA whose base trains too, there for one test."""

    def unfreeze(model, step):
        for parameter in model.parameters():
            parameter.data.add_(1e-3)

    METHODS.put("broken", replace(METHODS["lora"], name="broken", after_step=unfreeze))
    yield "broken"
    METHODS.remove("broken")
    structure.trained.cache_clear()


def test_claims_and_models_know_the_same_looks():
    assert set(structure.LOOKS) == {*LOOKS, "parameters"}


@pytest.mark.parametrize(
    ("look", "yes", "no"),
    [
        ("base_is_quantised", "qlora", "lora_all"),
        ("only_adapter_trains", "lora", "dora"),
        ("rank_adapts", "adalora", "lora"),
        ("starts_by_decomposing", "olora", "lora"),
    ],
)
def test_look_tells_methods_apart(look, yes, no):
    assert structure.LOOKS[look](yes) is True
    assert structure.LOOKS[look](no) is False


def test_qlora_quantises_the_base_and_not_the_adapter():
    assert not structure.adapter_is_quantised("qlora")
    assert not structure.rank_adapts("qlora")


def test_packed_adapter_would_be_seen(monkeypatch):
    monkeypatch.setattr(structure, "is_packed", lambda parameter: True)
    assert structure.adapter_is_quantised("lora")


def test_frozen_base_and_a_broken_adapter(broken):
    assert structure.base_is_frozen("lora")
    assert not structure.base_is_frozen(broken)


def test_update_has_the_adapters_rank(monkeypatch):
    assert structure.update_is_low_rank("lora")
    layer = structure.adapted_layer(structure.trained("lora")["model"])
    monkeypatch.setattr(type(layer), "get_delta_weight", lambda self, name: torch.eye(64))
    assert not structure.update_is_low_rank("lora")


def test_layer_adds_to_the_base():
    assert not structure.product_replaces_base("lora")


def test_replaced_base_would_be_seen(monkeypatch):
    """A layer that leaves W x out gives B A x alone."""
    layer = structure.adapted_layer(structure.trained("lora")["model"])
    forward = type(layer).forward
    monkeypatch.setattr(type(layer), "forward", lambda self, x: forward(self, x) - self.base_layer(x))
    assert structure.product_replaces_base("lora")


def test_merge_swap_and_accumulation_hold_for_lora():
    assert structure.merge_gives_plain_model("lora")
    assert structure.adapters_swap("lora")
    assert structure.accumulation_is_exact("lora")


def test_counts_of_two_methods():
    assert structure.trains_as_many("qlora", "lora_all")
    assert not structure.trains_as_many("lora", "lora_all")
    assert structure.trains_fewer("lora", "full")
    assert not structure.trains_fewer("qlora", "lora_all")


def test_parameters_on_the_meta_device():
    assert structure.parameters("bert_base", "lora", 8, 48) == {"trainable": 331_824, "total": 108_088_416}
    assert structure.parameters("gpt2", "lora", 8)["trainable"] == 811_008
    assert structure.parameters("gpt2", "lora", 8, targets=["c_attn"])["trainable"] == 12 * 8 * (768 + 3 * 768)


def test_answers_come_in_the_order_of_the_questions():
    questions = [
        {"look": "rank_adapts", "method": "lora"},
        {"look": "parameters", "model": "tiny_llama", "method": "lora", "rank": 1},
    ]
    adapts, counts = asked(questions)["answers"]
    assert adapts is False
    assert counts["trainable"] == 2 * (2 * 64 + 64 + 32)


def asked(questions):
    return structure.answer({"questions": questions}, lambda said: None)


def test_question_that_fails_loses_no_other_answer():
    found = asked([{"look": "update_is_low_rank", "method": "hira"}, {"look": "rank_adapts", "method": "lora"}])
    assert found["answers"] == [None, False]
    assert found["failures"][0].startswith("update_is_low_rank of {'method': 'hira'}: ValueError: no layer with")
