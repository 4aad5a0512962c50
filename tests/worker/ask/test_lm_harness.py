"""lm-evaluation-harness beside our own asking, on a tiny model."""

import math

import pytest
import torch
from lm_eval.models.huggingface import HFLM
from tiny_trainees import tiny_recipe, tiny_trainee

from bench.core.registry import UnknownName
from bench.probes import OWN, PROBES
from bench.probes.export import lm_eval_form
from bench.probes.guardrails import HARMLESS, OUGHT_DECLINE
from bench.sources.hub import Answer
from bench.sources.tokenizer import byte_tokenizer
from bench.worker.ask import lm_harness
from bench.worker.ask.lm_harness import TASKS_FOLDER, check_names, evaluate
from bench.worker.ask.questions import ask, nats_alone, reading_only

pytestmark = pytest.mark.filterwarnings("ignore")  # lm-eval's imports warn of what is not ours


def both_ways(family, tokenizer, new_tokens=1):
    """lm-eval's metrics of a tiny model, and our replies of it to the same items."""
    trainee, items = tiny_trainee(), items_of(family)
    with reading_only(trainee):
        replies = ask(trainee, tokenizer, items, [new_tokens] * len(items))
    found, reasons = evaluate(trainee, tokenizer, [f"{OWN}{family}"])
    assert reasons == []
    return found[f"{OWN}{family}"], replies


def items_of(family):
    return [item for item in PROBES[family].items if item.form == lm_eval_form(family)]


def share_likelier(family, replies):
    return sum(reply.margin(item) > 0 for item, reply in zip(items_of(family), replies, strict=True)) / len(replies)


@pytest.mark.parametrize("family", ["decimals", "sequences", "facts"])
def test_accuracy_is_ours_on_the_same_items(family):
    found, replies = both_ways(family, byte_tokenizer())
    assert found["acc"] == pytest.approx(share_likelier(family, replies))
    assert 0 < found["acc"] < 1  # else a broken comparison would agree as well


def test_both_of_source_003s_prompts_are_compared():
    found, replies = both_ways("source003", byte_tokenizer())
    assert len(replies) == 2
    assert found["acc"] == share_likelier("source003", replies)


def test_a_chat_is_asked_in_the_models_template():
    tokenizer = byte_tokenizer()
    plain, _ = both_ways("facts", tokenizer)
    tokenizer.chat_template = "{% for m in messages %}The answer to {{ m.content }}{% endfor %} is, as all know, "
    found, replies = both_ways("facts", tokenizer)
    assert found["acc"] == pytest.approx(share_likelier("facts", replies))
    assert found != plain  # else the template would not be seen


def test_general_text_costs_what_its_tokens_do():
    """lm-eval puts the beginning before a text, here the end token, and takes the loss of the first token too."""
    trainee, tokenizer = tiny_trainee(), byte_tokenizer()
    texts = [item.prompt for item in PROBES["forgetting"].items]
    found, _ = evaluate(trainee, tokenizer, ["lorabench_forgetting"])
    with reading_only(trainee):
        nats = [nats_alone(trainee, [tokenizer.eos_token_id], tokenizer(text)["input_ids"]) for text in texts]
    bits = -sum(nats) / math.log(2) / sum(len(text.encode()) for text in texts)
    assert found["lorabench_forgetting"]["bits_per_byte"] == pytest.approx(bits, rel=1e-5)


SORRY, SURE = "I'm sorry, but I can't help with that.", "Sure! First, write down what you need, then ask a friend."


@pytest.mark.parametrize(
    ("declined", "acc", "rates"),
    [({OUGHT_DECLINE}, 1, (1, 0)), ({HARMLESS}, 0, (0, 1)), ({OUGHT_DECLINE, HARMLESS}, 0.5, (1, 1))],
)
def test_guardrails_are_read_by_their_parser(declined, acc, rates, monkeypatch):
    def said(model, requests, **options):
        return [SORRY if request.doc["group"] in declined else SURE for request in requests]

    monkeypatch.setattr(HFLM, "generate_until", said)
    found = evaluate(tiny_trainee(), byte_tokenizer(), ["lorabench_guardrails"])[0]["lorabench_guardrails"]
    assert found["acc"] == acc
    assert (found["declined_ought_decline"], found["declined_harmless"]) == rates


def test_guardrails_are_answered_as_ours_are(monkeypatch):
    generate, said = HFLM.generate_until, []

    def kept(model, requests, **options):
        said[:] = generate(model, requests, **options)
        return said

    monkeypatch.setattr(HFLM, "generate_until", kept)
    _, replies = both_ways("guardrails", byte_tokenizer(), PROBES["guardrails"].new_tokens)
    assert [answer.strip() for answer in said] == [reply.text for reply in replies]
    assert all(said)


@pytest.mark.parametrize(("precision", "computed_in"), [("float32", set()), ("bfloat16", {torch.bfloat16})])
def test_lm_eval_computes_in_the_recipes_precision(precision, computed_in):
    trainee = tiny_trainee(method="full", recipe=tiny_recipe(method="full", precision=precision))
    seen = set()

    def look(module, read):
        if torch.is_autocast_enabled("cpu"):
            seen.add(torch.get_autocast_dtype("cpu"))

    trainee.model.register_forward_pre_hook(look)
    evaluate(trainee, byte_tokenizer(), ["lorabench_source003"])
    assert seen == computed_in


def test_an_unknown_task_says_what_is_near():
    with pytest.raises(UnknownName, match="no lm-eval task named 'lorabench_decimal'; did you mean lorabench_decimals"):
        check_names(["lorabench_decimal"])


def test_every_family_has_its_task():
    assert {path.stem for path in TASKS_FOLDER.glob("*.yaml")} == {f"{OWN}{family.name}" for family in PROBES}


@pytest.fixture
def away(monkeypatch):
    """No task can be read, though the Hub answers."""

    def fail(trainee, tokenizer, name):
        raise ConnectionError("no such host\nand more lines")

    monkeypatch.setattr(lm_harness, "metrics_of", fail)
    monkeypatch.setattr(lm_harness, "hub_answers", lambda: Answer(True, ""))


def test_a_foreign_task_that_cannot_be_read_is_one_reason(away):
    found, reasons = evaluate(None, None, ["arc_easy"])
    assert found == {}
    assert reasons == ["lm-eval arc_easy: not run, ConnectionError: no such host"]


def test_a_task_of_ours_that_fails_is_an_error(away):
    with pytest.raises(ConnectionError, match="no such host"):
        evaluate(None, None, ["lorabench_decimals"])
