"""A case id says all of a case and parses back."""

import pytest

from bench.core.case import Case, parse_case


def test_id_joins_parts_by_hyphens():
    assert Case("pos", "minilm_l6", "lora_after_full", "cpu", 2).id == "pos-minilm_l6-lora_after_full-cpu-s2"
    assert str(Case("pos", "gpt2", "lora", "cuda")) == "pos-gpt2-lora-cuda-s0"


@pytest.mark.parametrize("case_id", ["pos-minilm_l6-lora-cpu-s0", "support-gpt2-lora_after_full-cuda-s12"])
def test_id_parses_back(case_id):
    assert parse_case(case_id).id == case_id


@pytest.mark.parametrize("part", ["", "Lora", "lo-ra", "_lora", "lora_", "lo__ra", "lo ra", "lora\n", "ü"])
@pytest.mark.parametrize("name", ["task", "model", "method", "device"])
def test_part_that_would_not_parse_back_is_refused(name, part):
    parts = {"task": "pos", "model": "gpt2", "method": "lora", "device": "cpu", name: part}
    with pytest.raises(ValueError, match=f"^{name}=.* must be lower-case words joined by '_'"):
        Case(**parts)


def test_negative_seed_is_refused():
    with pytest.raises(ValueError, match="seed=-1 must not be negative"):
        Case("pos", "gpt2", "lora", "cpu", -1)


@pytest.mark.parametrize(
    "text",
    ["", "pos", "pos-gpt2-lora-cpu", "pos-gpt2-lora-cpu-0", "pos-gpt2-lora-cpu-s", "pos-gpt2-lora-cpu-s-1",
     "pos-gpt2-lora-cpu-s0-x", "pos-gpt2-lora-cpu-s1.5", "pos-gpt2-lora-cpu-s0\n"],
)  # fmt: skip
def test_text_of_another_shape_is_no_id(text):
    with pytest.raises(ValueError, match="is not a case id; expected task-model-method-device-sSEED"):
        parse_case(text)


@pytest.mark.parametrize("text", ["pos-GPT2-lora-cpu-s0", "pos--lora-cpu-s0"])
def test_wrong_part_of_an_id_is_named(text):
    with pytest.raises(ValueError, match="^model="):
        parse_case(text)


@pytest.mark.parametrize("text", ["pos-gpt2-lora-cpu-s01", "pos-gpt2-lora-cpu-s٣"])
def test_seed_has_one_spelling(text):
    with pytest.raises(ValueError, match="is not a case id"):
        parse_case(text)


def test_equal_cases_are_one_key():
    assert {Case("pos", "gpt2", "lora", "cpu"), parse_case("pos-gpt2-lora-cpu-s0")} == {
        Case("pos", "gpt2", "lora", "cpu", 0)
    }


def test_cases_sort_by_task_then_seed():
    later, earlier = Case("support", "gpt2", "lora", "cpu", 0), Case("pos", "gpt2", "lora", "cpu", 10)
    assert sorted([later, earlier, Case("pos", "gpt2", "lora", "cpu", 9)])[1:] == [earlier, later]
