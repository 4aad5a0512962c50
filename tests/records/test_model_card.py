"""A model card says what the weights are, where they come from, how good they are and how to load them.

tests/worker/keep/test_writing.py runs the lines that it prints.
"""

from dataclasses import replace

from kept_manifests import FACTS, KEPT

from bench.records.model_card import model_card


def test_a_card_names_case_base_data_quality_and_licence():
    card = model_card(KEPT)
    for text in (
        "base_model: openai-community/gpt2", "license: mit", "library_name: peft", "# support-gpt2-lora-cpu-s0",
        "revision `607a30d`", "`sha256:1`", "90 examples to train on", "| loss | 4.0000 | 2.5000 |", "Steps: 60",
        'BASE, REVISION = "openai-community/gpt2", "607a30d"', "arXiv:2106.09685",
    ):  # fmt: skip
        assert text in card, text


def test_a_card_states_what_is_not_known_or_not_judged():
    base = replace(KEPT.base, licence="", hub_id="")
    card = model_card(replace(KEPT, base=base, facts=replace(FACTS, quality_judged=False)))
    assert "license:" not in card
    assert "base_model:" not in card
    assert "not stated by lorabench" in card
    assert "no model of the Hub" in card
    assert "random weights, so these figures say nothing" in card
    assert "nowhere to be loaded from" in card
    assert "nowhere to be loaded from" not in model_card(KEPT)


def test_a_card_asks_for_the_folder_of_a_base_without_a_place_on_the_hub():
    card = model_card(replace(KEPT, base=replace(KEPT.base, hub_id="", revision="")))
    assert "The base is not on the Hub: name the folder that has it as BASE." in card
    assert 'BASE = "folder/of/the/base"' in card
    assert "REVISION" not in card
    assert "name the folder" not in model_card(KEPT)


def test_a_card_says_that_transformers_does_not_pack_the_head():
    assert "unpacked, so the answers differ" in model_card(replace(KEPT, recipe={**KEPT.recipe, "quantise_head": True}))
    assert "unpacked" not in model_card(KEPT)


def test_a_merged_models_card_says_that_its_figures_are_the_adapters():
    says = "measured before the adapter was merged and rounded to bfloat16"
    assert says in model_card(replace(KEPT, what="merged"))
    assert says not in model_card(KEPT)


def test_what_only_peft_loads_says_why():
    card = model_card(replace(KEPT, facts=replace(FACTS, only_peft="transformers refuses virtual tokens")))
    assert "Load it with peft: transformers refuses virtual tokens." in card
    assert "load_adapter" not in card


def test_text_from_data_is_no_markup():
    card = model_card(replace(KEPT, facts=replace(FACTS, data={**FACTS.data, "reason": "<script>[x](http://y)"})))
    assert "<script>" not in card
    assert "](http" not in card.replace("](https://huggingface.co", "").replace(r"\](http", "")
