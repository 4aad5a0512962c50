"""Padding that changes a row's logits is seen: an ignored mask, positions that count padding, rows that mix."""

import pytest
import torch
from tiny_trainees import TINY, tiny_examples, tiny_recipe, tiny_trainee

from bench.methods import METHODS
from bench.methods.tolerances import rounding_tolerance
from bench.models import DECODER, MODELS
from bench.worker.check import padding
from bench.worker.check.evidence import Probe


def evidence_of(model, method="lora", trainee=None):
    trainee = trainee or tiny_trainee(model, method, tiny_recipe(model, method))
    probe = Probe(trainee.batching, "cpu", tiny_examples(model, 2)).short()
    return padding.padding_evidence(trainee, MODELS[model], probe)


@pytest.mark.parametrize(
    ("model", "method"),
    [(name, method) for name in TINY for method in ("lora", "prefix", "prompt") if METHODS[method].suits(MODELS[name])],
)
def test_padding_changes_nothing(model, method):
    left = () if METHODS[method].pads_right_only else padding.PADDED[2 : 3 + (MODELS[model].kind == DECODER)]
    seen = evidence_of(model, method)
    assert seen.keys() == {*padding.PADDED[:2], *left}
    assert max(seen.values()) <= rounding_tolerance(METHODS[method], MODELS[model], "float32")


def test_prompts_cannot_be_padded_on_the_left(monkeypatch):
    """The fact that the method states is one; when peft mends it, the fact goes."""
    method = METHODS["prompt"]
    trainee = tiny_trainee("tiny_gpt2", "prompt", tiny_recipe("tiny_gpt2", "prompt"))
    object.__setattr__(method, "pads_right_only", "")
    try:
        assert evidence_of("tiny_gpt2", trainee=trainee)["left_padding_distance"] > 1e-3
    finally:
        object.__setattr__(method, "pads_right_only", "peft 0.21 drops position ids")


@pytest.fixture
def spoilt():
    """A tiny model whose inputs are changed by spoil(options) before each forward pass of the base."""

    def make(model, spoil):
        trainee = tiny_trainee(model, "lora", tiny_recipe(model, "lora"))
        base = trainee.model.get_base_model()
        base.register_forward_pre_hook(lambda module, given, options: (given, spoil(options)), with_kwargs=True)
        return evidence_of(model, trainee=trainee)

    return make


@pytest.mark.parametrize(
    ("model", "side"), [("tiny_bert", "right_padding_distance"), ("tiny_gpt2", "left_padding_distance")]
)
def test_an_ignored_mask_is_seen(spoilt, model, side):
    def spoil(options):
        return {**options, "attention_mask": torch.ones_like(options["attention_mask"])}

    assert spoilt(model, spoil)[side] > 1e-3


@pytest.mark.parametrize("model", ["tiny_gpt2", "tiny_bert"])
def test_positions_that_count_padding_are_seen(spoilt, model):
    seen = spoilt(model, lambda options: {**options, "position_ids": None})
    assert seen["left_padding_distance"] > 1e-3
    assert seen["right_padding_distance"] < 1e-6


def test_positions_that_generation_counts_wrongly_are_seen(monkeypatch):
    right = padding.greedy

    def wrong(trainee, ids, mask, *rest, **options):
        return right(trainee, ids, torch.ones_like(mask), *rest, **options)

    monkeypatch.setattr(padding, "greedy", wrong)
    assert evidence_of("tiny_gpt2")["left_padded_generation_distance"] > 1e-3


def test_rows_that_mix_are_seen():
    trainee = tiny_trainee("tiny_llama", "lora", tiny_recipe("tiny_llama", "lora"))
    table = trainee.model.get_input_embeddings()
    table.register_forward_hook(lambda layer, given, out: out + 0.01 * out.mean(dim=0, keepdim=True))
    assert evidence_of("tiny_llama", trainee=trainee)["batch_distance"] > 1e-3


def test_a_row_keeps_within_the_positions_beside_virtual_tokens():
    recipe = tiny_recipe("tiny_gpt2", "prefix", virtual_tokens=504)  # which leave 8
    trainee = tiny_trainee("tiny_gpt2", "prefix", recipe)
    assert max(evidence_of("tiny_gpt2", "prefix", trainee).values()) < 1e-5
