"""Which tokenizer a model gets where a mirror has nothing else of it."""

import json

import pytest

from bench.models import MODELS
from bench.sources import find_weights
from bench.sources.tokenizer import byte_tokenizer, tokenizer_for


@pytest.fixture
def mirror(tmp_path):
    """A mirror that has a tokenizer of SmolLM2 and of no other model, and no weights."""
    folder = tmp_path / "models" / MODELS["smollm2_135m"].hub_id
    byte_tokenizer().save_pretrained(folder)
    return tmp_path


def test_synthetic_model_takes_its_own_tokenizer_from_a_mirror(mirror):
    entry = MODELS["smollm2_135m"]
    tokenizer, reasons = tokenizer_for(entry, find_weights(entry, mirror, synthetic=True).folder, mirror)
    assert (len(tokenizer), reasons) == (264, [])


def test_or_its_stand_ins(mirror):
    entry = MODELS["llama31_8b"]
    tokenizer, reasons = tokenizer_for(entry, find_weights(entry, mirror, synthetic=True).folder, mirror)
    assert len(tokenizer) == 264
    assert reasons == ["text is split by the tokenizer of smollm2_135m, ids modulo the vocabulary"]


def test_roberta_is_known_by_its_config(mirror):
    folder = mirror / "models" / MODELS["roberta_base"].hub_id
    byte_tokenizer().save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "roberta"}), encoding="utf-8")
    entry = MODELS["roberta_base"]
    tokenizer, reasons = tokenizer_for(entry, find_weights(entry, mirror, synthetic=True).folder, mirror)
    assert tokenizer.init_kwargs["add_prefix_space"] is True
    assert reasons == []
