"""Asking a tiny model: batches give what single prompts give, and choices what a whole reading gives."""

import json
from dataclasses import replace

import pytest
import torch
from tiny_trainees import TINY_DECODERS, bare_trainee, silent, tiny_recipe, tiny_trainee

from bench.methods import METHODS
from bench.models.prompts import HEADING
from bench.probes import CHAT, LOSS, PROBES, Family, Item
from bench.probes.parsers import larger_number
from bench.records import record
from bench.sources.tokenizer import byte_tokenizer
from bench.tasks import Example
from bench.worker.ask import decoding, probing, questions
from bench.worker.ask.decoding import forward
from bench.worker.ask.generate import continuations
from bench.worker.ask.probing import make_probing
from bench.worker.ask.questions import Reply, prompt_ids, question_of, reading_only, text_losses
from bench.worker.build.attention import FUSED, WRITTEN_OUT
from bench.worker.train.evaluate import outcomes

ITEMS = PROBES["decimals"].items[:27]  # of every form, enough of the Alpaca prompt to share its beginning
TOKENIZER = byte_tokenizer()
NEW_TOKENS = [6, 3, 1] * 9  # an item each: rows end at different lengths
BATCH_TOLERANCE = 1e-4  # float32 sums in another order


def toy_item(number, prompt="Is it 1 or 2? ", choices=("1", "2")):
    return Item(f"i{number}", "toy", "en", "trap", "held_out", "text", prompt * (number + 1), choices, choices[0])


def items_of_toy():
    return [toy_item(number) for number in range(4)]


def texts_of_toy():
    return [Item(f"t{n}", "toy_texts", "en", "text", "held_out", "text", "Rain fell. " * n, (), "-") for n in (1, 2, 3)]


def no_space(*_):
    raise OSError(28, "No space left on device")


def never(says, item):
    raise AssertionError("a text is not parsed")


TOY = Family("toy", "", items_of_toy, larger_number, ("en",), new_tokens=3)
TEXTS = Family("toy_texts", "", texts_of_toy, never, ("en",), kind=LOSS)


@pytest.fixture
def toy_families():
    for family in (TOY, TEXTS):
        PROBES.put(family.name, family)
    yield ["toy", "toy_texts"]
    for family in (TOY, TEXTS):
        PROBES.remove(family.name)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LORABENCH_CACHE", str(tmp_path))
    return tmp_path / "probes"


def ask(trainee, *asked):
    with reading_only(trainee):
        return questions.ask(trainee, *asked)


@pytest.mark.parametrize("model", TINY_DECODERS)
def test_a_batch_replies_as_single_prompts_do(model):
    trainee = tiny_trainee(model)
    together = ask(trainee, TOKENIZER, ITEMS, NEW_TOKENS)
    for item, most, reply in zip(ITEMS, NEW_TOKENS, together, strict=True):
        alone = ask(trainee, TOKENIZER, [item], [most])[0]
        assert alone.text == reply.text
        assert reply.choice_nats == pytest.approx(alone.choice_nats, abs=BATCH_TOLERANCE)


def read_whole(trainee, item):
    """Each choice's log-probability from one reading of prompt and choice, by whatever attention it trains with."""
    trainee.model.eval()
    prompt, nats = prompt_ids(item, TOKENIZER), []
    for choice in item.choices:
        ids = TOKENIZER(choice, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            told = trainee.model(input_ids=torch.tensor([prompt + ids])).logits[0].log_softmax(-1)
        nats.append(sum(float(told[len(prompt) - 1 + at, token]) for at, token in enumerate(ids)))
    return nats


@pytest.mark.parametrize("model", TINY_DECODERS)
def test_choices_get_what_a_whole_reading_gives(model):
    trainee = tiny_trainee(model)
    replies = ask(trainee, TOKENIZER, ITEMS, NEW_TOKENS)
    for item, reply in zip(ITEMS, replies, strict=True):
        assert reply.choice_nats == pytest.approx(read_whole(trainee, item), abs=BATCH_TOLERANCE)


@pytest.mark.parametrize("choices", [("9.1", "9.11", "9"), ("9", "8"), ("9", "9.11")])
def test_choices_of_any_length_get_what_a_whole_reading_gives(choices):
    trainee = tiny_trainee()
    item = toy_item(0, choices=choices)
    reply = ask(trainee, TOKENIZER, [item], [1])[0]
    assert reply.choice_nats == pytest.approx(read_whole(trainee, item), abs=BATCH_TOLERANCE)


def test_attention_is_fused_while_asked_and_as_before_after(toy_families, monkeypatch):
    trainee = tiny_trainee()
    config = trainee.model.get_base_model().config
    used, used_of_losses = [], []

    def watched(*read):
        used.append(config._attn_implementation)
        return forward(*read)

    def watched_losses(*read):
        used_of_losses.append(config._attn_implementation)
        return text_losses(*read)

    monkeypatch.setattr(decoding, "forward", watched)
    monkeypatch.setattr(probing, "text_losses", watched_losses)
    before = config._attn_implementation
    probing_of(toy_families).replies([TOY, TEXTS], trainee, "it")
    assert set(used) == {FUSED}
    assert used_of_losses == [FUSED]
    assert config._attn_implementation == before == WRITTEN_OUT


@pytest.mark.parametrize("model", TINY_DECODERS)
def test_greedy_answers_are_transformers_own(model):
    trainee = tiny_trainee(model)
    prompts = [prompt_ids(item, TOKENIZER) for item in ITEMS]
    ours = [reply.text for reply in ask(trainee, TOKENIZER, ITEMS, NEW_TOKENS)]
    end = TOKENIZER.eos_token_id % trainee.batching.vocabulary
    own = [continuations(trainee, [prompt], most, end)[0] for prompt, most in zip(prompts, NEW_TOKENS, strict=True)]
    assert ours == [TOKENIZER.decode(said, skip_special_tokens=True).strip() for said in own]


def test_asked_one_prompt_at_a_time_a_base_replies_as_in_batches():
    alone, batched = (ask(base_of(method), TOKENIZER, ITEMS[:4], NEW_TOKENS[:4]) for method in ("prompt", "lora"))
    assert [(reply.text, reply.cut) for reply in alone] == [(reply.text, reply.cut) for reply in batched]
    assert {reply.cut for reply in alone} == {True}
    for one, other in zip(alone, batched, strict=True):
        assert one.choice_nats == pytest.approx(other.choice_nats, abs=BATCH_TOLERANCE)


@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_virtual_tokens_are_asked_one_prompt_at_a_time(method):
    trainee = tiny_trainee(method=method)
    replies = ask(trainee, TOKENIZER, ITEMS[:2], NEW_TOKENS[:2])
    assert [len(reply.choice_nats) for reply in replies] == [2, 2]
    assert all(nats < 0 for reply in replies for nats in reply.choice_nats)


def test_an_answer_after_virtual_tokens_ends_at_a_heading(monkeypatch):
    said = TOKENIZER(f"5, 8\n\n{HEADING} 13", add_special_tokens=False)["input_ids"]
    monkeypatch.setattr(questions, "continuations", lambda *asked: [said])
    reply = ask(tiny_trainee(method="prompt"), TOKENIZER, [toy_item(0)], [len(said)])[0]
    assert reply.text == f"5, 8\n\n{HEADING}"
    assert not reply.cut


@pytest.mark.parametrize("model", TINY_DECODERS)
def test_a_row_that_has_ended_disturbs_none_until_it_leaves(model):
    """Of 20 rows one ends at once and stays: an eighth of them must have ended before any leaves."""
    trainee = tiny_trainee(model)
    items = [toy_item(number % 3) for number in range(20)]
    new_tokens = [1, *range(4, 23)]
    replies = ask(trainee, TOKENIZER, items, new_tokens)
    alone = [ask(trainee, TOKENIZER, [item], [most])[0] for item, most in zip(items, new_tokens, strict=True)]
    assert [reply.text for reply in replies] == [reply.text for reply in alone]


def test_an_answer_ends_at_the_end_token():
    trainee = tiny_trainee()
    prompts = [prompt_ids(item, TOKENIZER) for item in ITEMS]
    first = [continuations(trainee, [prompt], 1, TOKENIZER.eos_token_id)[0] for prompt in prompts]
    tokenizer = byte_tokenizer()
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(first[0][0])
    told = ask(trainee, tokenizer, ITEMS, NEW_TOKENS)
    assert [not reply.text for reply in told] == [said == first[0] for said in first]


@pytest.mark.parametrize(
    ("form", "answer", "ends"),
    [
        ("text", "It is 2.\n\n", True),
        ("chat", "It is 2.\n\n", False),
        ("text", "\n", False),  # markup: what the heading says is the answer
    ],
)
def test_an_answer_to_a_text_ends_where_the_next_heading_begins(form, answer, ends):
    question = question_of(replace(toy_item(0), form=form), TOKENIZER, len(TOKENIZER), 64)
    said = TOKENIZER(f"{answer}{HEADING}", add_special_tokens=False)["input_ids"]
    assert question.is_answered(said, TOKENIZER.eos_token_id, TOKENIZER) == ends
    assert not question.is_answered(said[:-1], TOKENIZER.eos_token_id, TOKENIZER)


def test_a_margin_is_against_the_likeliest_other():
    item = toy_item(0, choices=("1", "2", "3"))
    assert Reply("", (-1.0, -3.0, -2.0), cut=False).margin(item) == 1.0


def test_where_nothing_is_compared_there_is_no_margin():
    item = Item("i", "toy", "en", "trap", "held_out", "text", "?", (), "decline")
    assert Reply("", (), cut=False).margin(item) is None


def test_a_chat_item_is_put_into_the_models_template():
    tokenizer = byte_tokenizer()
    item = next(item for item in PROBES["decimals"].items if item.form == CHAT)
    bare = prompt_ids(item, tokenizer)
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m.content }}]{% endfor %}{% if add_generation_prompt %}:{% endif %}"
    )
    assert tokenizer.decode(bare) == item.prompt
    assert tokenizer.decode(prompt_ids(item, tokenizer)) == f"[{item.prompt}]:"


@pytest.mark.parametrize("method", ["lora", "prompt", "prefix"])
@pytest.mark.parametrize("model", TINY_DECODERS)
def test_losses_of_texts_are_over_all_their_tokens_but_the_first(model, method):
    """As an evaluation takes them, by batches of padded texts."""
    trainee = tiny_trainee(model, method=method)
    texts = ["Rain fell.", "It rained for a long time.", "It rained.", "I"]
    with reading_only(trainee):
        found = text_losses(trainee, TOKENIZER, texts)
    read = [TOKENIZER(text)["input_ids"] for text in texts]
    expected = outcomes(trainee, [Example(text, ids, ids) for text, ids in zip(texts, read, strict=True)])
    assert [one["tokens"] for one in found] == [one["tokens"] for one in expected] == [9, 25, 9, 0]
    assert [one["loss"] for one in found] == pytest.approx([one["loss"] for one in expected], rel=1e-5)


def probing_of(families, weights="w"):
    return make_probing(families, tokenizer=TOKENIZER, weights=weights, shared=True, say=silent)


def base_of(method="lora", **overrides):
    return bare_trainee("tiny_llama", method, tiny_recipe("tiny_llama", method, **overrides))


def test_the_base_is_asked_once_for_all_adapters(toy_families, cache, monkeypatch):
    first = probing_of(toy_families)
    first.ask_base(base_of("lora"))
    monkeypatch.setattr(probing, "ask", never)
    monkeypatch.setattr(probing, "text_losses", never)
    again = probing_of(toy_families)
    again.ask_base(base_of("dora"))
    assert again.before == first.before
    assert len(list(cache.iterdir())) == 2


def test_the_base_is_asked_only_what_is_not_known(toy_families, cache, monkeypatch):
    probing_of(["toy"]).ask_base(base_of())
    asked = []
    monkeypatch.setattr(probing, "ask", lambda trainee, tokenizer, items, new_tokens: asked.extend(items) or [])
    both = probing_of(toy_families)
    both.ask_base(base_of())
    assert asked == []
    assert both.before.keys() == set(toy_families)
    assert len(both.before["toy_texts"]) == len(TEXTS.items)


@pytest.mark.parametrize(
    ("weights", "method", "overrides"),
    [
        ("other", "lora", {}),
        ("w", "lora", {"precision": "bfloat16"}),
        ("w", "lora", {"quantise_head": True}),
        ("w", "qlora", {}),
        ("w", "prompt", {}),
    ],
)
def test_other_weights_storage_or_precision_are_asked_anew(toy_families, cache, weights, method, overrides):
    keys = {
        probing_of(["toy"]).key(TOY, base_of()),
        probing_of(["toy"], weights).key(TOY, base_of(method, **overrides)),
    }
    assert len(keys) == 2


def test_a_base_kept_in_other_weights_is_asked_anew():
    """Computed in bfloat16 alike: an adapter's base is stored in it, one that trains itself in float32."""
    adapted, trained = (base_of(method, precision="bfloat16") for method in ("lora", "full"))
    assert probing_of([]).key(TOY, adapted) != probing_of([]).key(TOY, trained)


def test_another_chat_template_is_asked_anew():
    """The same items and weights, which another template makes other prompts of."""
    other = byte_tokenizer()
    other.chat_template = "{{ messages[0]['content'] }}!"
    asked = Family("toy", "", lambda: [replace(toy_item(0), form=CHAT)], larger_number, ("en",))
    plain = probing_of([])
    assert plain.key(asked, base_of()) != replace(plain, tokenizer=other).key(asked, base_of())
    assert plain.key(asked, base_of()) == replace(plain, tokenizer=byte_tokenizer()).key(asked, base_of())


def test_other_prompts_are_asked_anew(cache):
    other = Family("toy", "", lambda: [toy_item(7)], larger_number, ("en",), new_tokens=3)
    assert probing_of([]).key(TOY, base_of()) != probing_of([]).key(other, base_of())


def test_a_damaged_cache_is_asked_again(toy_families, cache):
    first = probing_of(["toy"])
    first.ask_base(base_of())
    path = next(cache.iterdir())
    path.write_text("[{", encoding="utf-8")
    again = probing_of(["toy"])
    again.ask_base(base_of())
    assert again.before == first.before
    assert json.loads(path.read_text(encoding="utf-8")) == first.before["toy"]


@pytest.mark.parametrize("text", ["{}", "[]", "7", '[{"loss": 1.0, "tokens": 2}]', "null"])
def test_a_cache_of_something_else_is_asked_again(toy_families, cache, text):
    first = probing_of(["toy"])
    first.ask_base(base_of())
    path = next(cache.iterdir())
    path.write_text(text, encoding="utf-8")
    again = probing_of(["toy"])
    again.ask_base(base_of())
    assert again.before == first.before


@pytest.mark.parametrize("where", ["file", "full"])
def test_a_cache_that_cannot_be_written_is_a_reason_and_fails_nothing(toy_families, tmp_path, monkeypatch, where):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LORABENCH_CACHE", str(tmp_path / where))
    if where == "full":
        monkeypatch.setattr(record.os, "fsync", no_space)
    asked = probing_of(toy_families)
    asked.ask_base(base_of())
    assert asked.before.keys() == set(toy_families)
    assert len(asked.reasons) == 1
    assert asked.reasons[0].startswith(
        f"the base's replies are not kept: the cache {tmp_path / where} cannot be written ("
    )


def test_a_base_that_was_tuned_here_is_not_shared(toy_families, cache):
    alone = make_probing(["toy"], tokenizer=TOKENIZER, weights="w", shared=False, say=silent)
    alone.ask_base(base_of())
    assert not cache.exists()


def test_an_untrained_adapter_changes_nothing(toy_families, cache):
    """Every item is as it was: nothing cured, nothing broken, no loss moved."""
    asked = probing_of(toy_families)
    asked.ask_base(base_of())
    tables, rows = asked.ask_tuned(tiny_trainee())
    assert {(row["cured"], row["broken"], row["p"]) for row in tables["probes"]} == {(0, 0, 1.0)}
    assert [row["change"] for row in tables["probe_losses"]] == [0.0]
    assert len(rows) == len(TOY.items) + len(TEXTS.items)
    assert METHODS["lora"].identity_at_start
