"""lm-evaluation-harness beside our own asking, on a tiny model."""

import math

import pytest
from lm_eval.models.huggingface import HFLM
from tiny_trainees import tiny_trainee

from bench import lm_evaluation
from bench.asking import ask, nats_alone, reading_only
from bench.lm_evaluation import TASKS_FOLDER, check_names, evaluate
from bench.probes import OWN, PROBES, RIGHT
from bench.probes.export import LM_EVAL_FORMS
from bench.probes.guardrails import refusals
from bench.registry import UnknownName
from bench.sources.hub import Answer
from bench.tokenizers import byte_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")  # lm-eval's imports warn of what is not ours


def accuracy_of(family, items):
    """lm-eval's metrics of a tiny model, and our replies of it to the items."""
    trainee, tokenizer = tiny_trainee(), byte_tokenizer()
    with reading_only(trainee):
        replies = ask(trainee, tokenizer, items, new_tokens=[PROBES[family].new_tokens] * len(items))
    found, reasons = evaluate(trainee, tokenizer, [f"{OWN}{family}"])
    assert reasons == []
    return found[f"{OWN}{family}"], replies


@pytest.mark.parametrize("family", ["decimals", "sequences", "facts"])
def test_accuracy_is_ours_on_the_same_items(family):
    items = [item for item in PROBES[family].items if item.form == LM_EVAL_FORMS[family]]
    found, replies = accuracy_of(family, items)
    right = [reply.margin(item) > 0 for item, reply in zip(items, replies, strict=True)]
    assert found["acc"] == pytest.approx(sum(right) / len(right))
    assert 0 < sum(right) < len(right)  # else a broken comparison would agree as well


def test_both_of_source_003s_prompts_are_compared():
    items = PROBES["source003"].items
    found, replies = accuracy_of("source003", items)
    assert found["acc"] == sum(reply.margin(item) > 0 for item, reply in zip(items, replies, strict=True)) / 2


def test_a_chat_is_asked_in_the_models_template():
    """With one that decides the answer: else the accuracy would be that of plain prompts."""
    trainee, tokenizer = tiny_trainee(), byte_tokenizer()
    plain = evaluate(trainee, tokenizer, ["lorabench_facts"])[0]
    tokenizer.chat_template = "{% for m in messages %}The answer to {{ m.content }}{% endfor %} is, as all know, "
    items = PROBES["facts"].items
    with reading_only(trainee):
        replies = ask(trainee, tokenizer, items, [1] * len(items))
    right = [reply.margin(item) > 0 for item, reply in zip(items, replies, strict=True)]
    found = evaluate(trainee, tokenizer, ["lorabench_facts"])[0]
    assert found["lorabench_facts"]["acc"] == pytest.approx(sum(right) / len(right))
    assert found != plain


def test_general_text_costs_what_its_tokens_do():
    """lm-eval puts the end token before a text, and takes the loss of the first token too."""
    trainee, tokenizer = tiny_trainee(), byte_tokenizer()
    texts = [item.prompt for item in PROBES["forgetting"].items]
    found, _ = evaluate(trainee, tokenizer, ["lorabench_forgetting"])
    with reading_only(trainee):
        nats = [nats_alone(trainee, [tokenizer.eos_token_id], tokenizer(text)["input_ids"]) for text in texts]
    bits = -sum(nats) / math.log(2) / sum(len(text.encode()) for text in texts)
    assert found["lorabench_forgetting"]["bits_per_byte"] == pytest.approx(bits, rel=1e-5)


SORRY = "I'm sorry, but I can't help with that."


@pytest.mark.parametrize("says", ["", SORRY, "Sure! First, write down what you need and then ask a friend about it."])
def test_guardrails_are_read_by_their_parser(says, monkeypatch):
    """Of both sides, the rates that our own reading gives."""
    monkeypatch.setattr(HFLM, "generate_until", lambda self, requests, **options: [says] * len(requests))
    found, _ = evaluate(tiny_trainee(), byte_tokenizer(), ["lorabench_guardrails"])
    outcomes = [(item.group, PROBES["guardrails"].parse(says, item)) for item in PROBES["guardrails"].items]
    told = found["lorabench_guardrails"]
    assert told["acc"] == pytest.approx([outcome for _, outcome in outcomes].count(RIGHT) / len(outcomes))
    for group, declined in refusals(outcomes).items():
        assert told[f"declined_{group}"] == pytest.approx(declined.rate) == float(says == SORRY)


def test_guardrails_answers_are_as_long_as_ours():
    text = (TASKS_FOLDER / "lorabench_guardrails.yaml").read_text(encoding="utf-8")
    assert f"max_gen_toks: {PROBES['guardrails'].new_tokens}\n" in text


def test_an_unknown_task_says_what_is_near():
    with pytest.raises(UnknownName, match="no lm-eval task named 'lorabench_decimal'; did you mean lorabench_decimals"):
        check_names(["lorabench_decimal"])


def test_every_family_has_its_task():
    assert (
        {path.stem for path in TASKS_FOLDER.glob("*.yaml")}
        == {f"{OWN}{family}" for family in LM_EVAL_FORMS}
        == {f"{OWN}{family.name}" for family in PROBES}
    )


@pytest.fixture
def away(monkeypatch):
    """No task can be read, though the Hub answers."""

    def fail(trainee, tokenizer, name):
        raise ConnectionError("no such host\nand more lines")

    monkeypatch.setattr(lm_evaluation, "metrics_of", fail)
    monkeypatch.setattr(lm_evaluation, "hub_answers", lambda: Answer(True, ""))


def test_a_foreign_task_that_cannot_be_read_is_one_reason(away):
    found, reasons = evaluate(None, None, ["arc_easy"])
    assert found == {}
    assert reasons == ["lm-eval arc_easy: not run, ConnectionError: no such host"]


def test_a_task_of_ours_that_fails_is_an_error(away):
    with pytest.raises(ConnectionError, match="no such host"):
        evaluate(None, None, ["lorabench_decimals"])
