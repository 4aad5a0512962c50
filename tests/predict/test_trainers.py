"""Profiles of trainers: facts with sources, and what each fact costs by hand."""

from dataclasses import replace

import pytest

from bench.core.files import BadFile
from bench.core.registry import UnknownName
from bench.predict import terms
from bench.predict.formula.closed_form import closed_form, weights
from bench.predict.question import ask
from bench.predict.switches import saving_words, savings
from bench.predict.trainers import FOLDER, OWN, read_trainer, trainer_names, trainer_of

TODAY = ["axolotl", "litgpt", "llama_factory", "plain_loop", "torchtune", "transformers", "trl", "unsloth"]
TOKENS = 2 * 2048
LOGITS = TOKENS * 128256  # elements of all logits of Llama 3.1


@pytest.fixture
def qlora_8b():
    return ask("llama31_8b", "qlora", batch_size=2, max_length=2048)


@pytest.mark.parametrize("name", trainer_names())
def test_a_profile_says_where_its_facts_are(name):
    trainer = read_trainer(name)
    assert trainer.says
    assert trainer.where
    assert all(place for place in trainer.where.values())
    assert trainer.where.keys() <= set(vars(trainer))
    assert all(switch.where and (switch.changes or switch.recipe) for switch in trainer.switches)


def test_the_trainers_that_people_use_have_a_profile_of_today():
    assert trainer_names(today=True) == TODAY


def test_own_facts_change_nothing(qlora_8b):
    assert closed_form(qlora_8b.by(OWN)).phases == closed_form(qlora_8b).phases


def test_a_base_that_is_made_float32_costs_its_embeddings_and_twice_the_checkpoints(qlora_8b):
    """As peft's prepare_model_for_kbit_training does."""
    plain = replace(read_trainer("transformers"), float32_norms=False, float32_embeddings=False)
    before, after = (qlora_8b.by(trainer) for trainer in (plain, read_trainer("transformers")))
    assert weights(after)[terms.EMBEDDINGS] == 2 * weights(before)[terms.EMBEDDINGS] == 4 * 2 * 128256 * 4096
    kept = [closed_form(one).phases[terms.BACKWARD][terms.KEPT] for one in (before, after)]
    assert kept[1] - kept[0] == 32 * TOKENS * 4096 * 2


@pytest.mark.parametrize(("name", "forward_bytes"), [
    ("transformers", LOGITS * (2 + 4 + 4)), ("transformers_2024", LOGITS * (4 + 4 + 4)), ("litgpt", LOGITS * (2 + 2)),
    ("torchtune_2024_09", LOGITS * 2 + LOGITS * 4 // 8), ("unsloth_2024", LOGITS * 2), ("trl", 256 * 128256 * (2 + 4)),
    ("unsloth", LOGITS * (2 + 4)),
])  # fmt: skip
def test_logits_by_hand(qlora_8b, name, forward_bytes):
    assert closed_form(qlora_8b.by(read_trainer(name))).phases[terms.FORWARD][terms.LOGITS] == forward_bytes


def test_a_chunk_of_unsloths_loss_takes_at_most_four_gib():
    long = ask("llama31_8b", "qlora", batch_size=1, max_length=65536).by(read_trainer("unsloth"))
    single, half = long.trainer.positions(65536, 128256)
    assert single == half == 2**32 // (4 * 128256)


@pytest.mark.parametrize(("method", "name", "bytes_each"), [
    ("qlora", "trl", 2), ("lora", "trl", 4), ("qlora", "transformers", 4), ("lora", "torchtune", 2), ("full", "litgpt", 2),
])  # fmt: skip
def test_what_trains_is_kept_as_the_trainer_keeps_it(method, name, bytes_each):
    own = ask("llama31_8b", method, batch_size=1, max_length=512)
    ours, theirs = (closed_form(one).phases[terms.OPTIMIZER] for one in (own, own.by(read_trainer(name))))
    assert theirs[terms.STATES] * 4 == ours[terms.STATES] * bytes_each
    assert theirs[terms.ADAPTER] * 4 == ours[terms.ADAPTER] * bytes_each


def test_the_most_saving_switch_comes_first_and_saves_what_it_says(qlora_8b):
    asked = qlora_8b.at(gradient_checkpointing=False).by(read_trainer("transformers"))
    first, *others = savings(asked)
    assert first.switch.says == "gradient_checkpointing=True"
    on = asked.at(gradient_checkpointing=True)
    assert first.saved_bytes == closed_form(asked).peak_bytes - closed_form(on).peak_bytes
    assert [one.saved_bytes for one in others] == sorted((one.saved_bytes for one in others), reverse=True)
    assert saving_words(asked)[0].startswith("to save memory by transformers: gradient_checkpointing=True saves ")


def test_a_fact_that_is_none_is_one_sentence():
    path = FOLDER / "trl.toml"
    with pytest.raises(BadFile, match="trl.toml: wrong or missing adapters, .*speed"):
        trainer_of({"says": "", "speed": 3}, path)
    facts = {name: value for name, value in vars(OWN).items() if name != "name"}
    with pytest.raises(BadFile, match="trl.toml: faster: there is no fact speed"):
        trainer_of({**facts, "switches": [{"says": "faster", "where": "x", "changes": {"speed": 3}}]}, path)
    with pytest.raises(UnknownName, match="no trainer named 'unslot'; did you mean unsloth"):
        read_trainer("unslot")
