"""Looking into models tells what is so, and a broken method is seen: each look has a method that answers otherwise."""

from dataclasses import replace

import pytest
import torch

from bench.core.work import LooksWork
from bench.judge.claims.kinds.structural import LOOKS
from bench.methods import METHODS
from bench.worker.check import looks


@pytest.fixture
def broken():
    """A LoRA whose base trains too, there for one test."""

    def unfreeze(model, step):
        for parameter in model.parameters():
            parameter.data.add_(1e-3)

    METHODS.put("broken", replace(METHODS["lora"], name="broken", after_step=unfreeze))
    yield "broken"
    METHODS.remove("broken")
    looks.train_tiny.cache_clear()


def test_claims_and_models_know_the_same_looks():
    assert set(looks.LOOKS) == {*LOOKS, "parameters"}


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
    assert looks.LOOKS[look](yes) is True
    assert looks.LOOKS[look](no) is False


def test_qlora_quantises_the_base_and_not_the_adapter():
    assert not looks.adapter_is_quantised("qlora")
    assert not looks.rank_adapts("qlora")


def test_packed_adapter_would_be_seen(monkeypatch):
    monkeypatch.setattr(looks, "is_packed", lambda parameter: True)
    assert looks.adapter_is_quantised("lora")


def test_frozen_base_and_a_broken_adapter(broken):
    assert looks.base_is_frozen("lora")
    assert not looks.base_is_frozen(broken)


def test_update_has_the_adapters_rank(monkeypatch):
    assert looks.update_is_low_rank("lora")
    layer = looks.adapted_layer(looks.train_tiny("lora")["model"])
    monkeypatch.setattr(type(layer), "get_delta_weight", lambda self, name: torch.eye(64))
    assert not looks.update_is_low_rank("lora")


def test_the_updates_of_layers_before_count_with_their_rank(monkeypatch):
    """The second of two layers has twice ResLoRA's rank; the first, which has none before it, would hide that."""
    assert looks.update_is_low_rank("reslora")
    monkeypatch.setattr(looks, "METHODS", {"reslora": replace(METHODS["reslora"], updates_in_a_layer=lambda recipe: 1)})
    assert not looks.update_is_low_rank("reslora")


def test_layer_adds_to_the_base():
    assert not looks.product_replaces_base("lora")


def test_replaced_base_would_be_seen(monkeypatch):
    """A layer that leaves W x out gives B A x alone."""
    layer = looks.adapted_layer(looks.train_tiny("lora")["model"])
    forward = type(layer).forward
    monkeypatch.setattr(type(layer), "forward", lambda self, x: forward(self, x) - self.base_layer(x))
    assert looks.product_replaces_base("lora")


def test_merge_swap_and_accumulation_hold_for_lora():
    assert looks.merge_gives_plain_model("lora")
    assert looks.adapters_swap("lora")
    assert looks.accumulation_is_exact("lora")


def test_counts_of_two_methods():
    assert looks.trains_as_many("qlora", "lora_all")
    assert not looks.trains_as_many("lora", "lora_all")
    assert looks.trains_fewer("lora", "full")
    assert not looks.trains_fewer("qlora", "lora_all")


def test_parameters_on_the_meta_device():
    counts = {"trainable": 331_824, "total": 108_088_416, "adapter": 294_912}
    assert looks.parameters("bert_base", "lora", labels=48, rank=8) == counts
    assert looks.parameters("gpt2", "lora", rank=8)["trainable"] == 811_008
    assert looks.parameters("gpt2", "lora", targets=("c_attn",), rank=8)["trainable"] == 12 * 8 * (768 + 3 * 768)


def test_answers_come_in_the_order_of_the_questions():
    questions = [
        {"look": "rank_adapts", "method": "lora"},
        {"look": "parameters", "model": "tiny_llama", "method": "lora", "rank": 1},
    ]
    adapts, counts = asked(questions)["answers"]
    assert adapts is False
    assert counts["trainable"] == 2 * (2 * 64 + 64 + 32)


def asked(questions):
    return looks.answer(LooksWork(tuple(questions)).to_plain(), lambda said: None)


def test_question_that_fails_loses_no_other_answer():
    found = asked([{"look": "update_is_low_rank", "method": "hira"}, {"look": "rank_adapts", "method": "lora"}])
    assert found["answers"] == [None, False]
    assert found["failures"][0].startswith("update_is_low_rank of {'method': 'hira'}: ValueError: no layer with")
