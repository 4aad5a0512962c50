"""Generation: answers that depend on nothing beside them, and end."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from tiny_trainees import TINY_DECODERS, tiny_examples, tiny_recipe, tiny_trainee

from bench.models import DECODER, ENCODER
from bench.tasks import IGNORE, Example
from bench.worker.ask.generate import NEW_TOKENS, continuations, first_scored, generate


class Numbers:
    """A tokenizer that decodes to the ids themselves."""

    def __init__(self, end):
        self.eos_token_id = end

    def decode(self, ids, skip_special_tokens):
        return " ".join(map(str, ids))


def answers(trainee, examples, end):
    return generate(trainee, Numbers(end), examples, DECODER)


@pytest.mark.parametrize("method", ["lora", "prefix", "prompt"])
@pytest.mark.parametrize("model", TINY_DECODERS)
def test_answers_do_not_depend_on_their_neighbours(model, method):
    trainee, examples = tiny_trainee(model, method), tiny_examples(model, 4)
    alone = [answers(trainee, [example], 2)[0] for example in examples]
    assert answers(trainee, examples, 2) == alone


def test_prompts_are_padded_on_the_left_without_the_answer():
    asked = []
    trainee = tiny_trainee()
    model = SimpleNamespace(
        config=trainee.model.config, eval=lambda: None,
        generate=lambda **given: asked.append(given) or given["input_ids"],
    )  # fmt: skip
    examples = [Example("a", [11, 12, 13, 14], [IGNORE, IGNORE, 13, 14]), Example("b", [21, 22], [IGNORE, 22])]
    answers(replace(trainee, model=model), examples, 2)
    assert asked[0]["input_ids"].tolist() == [[11, 12], [0, 21]]
    assert asked[0]["attention_mask"].tolist() == [[1, 1], [0, 1]]
    assert not asked[0]["do_sample"]


def test_an_answer_stops_at_the_end_token():
    trainee, examples = tiny_trainee(), tiny_examples(count=1)
    said = answers(trainee, examples, 2)[0].split()
    assert answers(trainee, examples, int(said[0]))[0].split() == said[:1]


def test_padding_behind_an_answer_that_stops_first_is_no_part_of_it():
    """Beside one that goes on."""
    trainee, examples = tiny_trainee(), tiny_examples(count=4)
    ends = [int(said.split()[1]) for said in answers(trainee, examples, 2)]
    told = [said.split() for said in answers(trainee, examples, ends[0])]
    assert told[0][-1] == str(ends[0])
    assert len({len(said) for said in told}) > 1
    assert all(str(ends[0]) not in said[:-1] for said in told)


def test_an_answer_without_end_stops_at_the_limit():
    trainee, examples = tiny_trainee(), tiny_examples(count=1)
    said = answers(trainee, examples, 2)[0].split()
    assert "2" not in said
    assert len(said) == NEW_TOKENS


def prompt_of(length):
    """An example of so long a prompt, and one token to score."""
    return Example(f"of {length}", [9 + at % 50 for at in range(length + 1)], [IGNORE] * length + [9])


@pytest.mark.parametrize(("method", "virtual"), [("lora", 0), ("prefix", 3), ("prompt", 3)])
def test_an_answer_ends_where_positions_do(method, virtual):
    trainee = tiny_trainee("tiny_gpt2", method, tiny_recipe("tiny_gpt2", method, virtual_tokens=3))
    most = trainee.model.config.n_positions - virtual
    examples = [prompt_of(length) for length in (5, most, most - 1, most + 1 - NEW_TOKENS)]
    said = answers(trainee, examples, 2)
    assert [len(answer.split()) for answer in said] == [NEW_TOKENS, 1, 2, NEW_TOKENS]
    assert answers(trainee, [examples[0], examples[-1]], 2) == [said[0], said[-1]]  # those with room
    with pytest.raises(IndexError):  # one token more has no position
        continuations(trainee, [examples[1].input_ids[:-1]], 2, 2)


def test_only_decoders_answer():
    assert generate(tiny_trainee("tiny_bert"), Numbers(2), tiny_examples("tiny_bert", 1), ENCODER) == []
    assert generate(tiny_trainee(), Numbers(2), [], DECODER) == []


def test_an_answer_begins_at_the_first_scored_label():
    assert first_scored(Example("d", [9, 10, 11], [IGNORE, IGNORE, 11])) == 2
