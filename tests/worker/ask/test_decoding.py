"""Reading prefix trees with a tiny model and answering behind them: what whole prompts give, read one at a time."""

from dataclasses import replace
from itertools import chain
from types import SimpleNamespace

import pytest
import torch
from tiny_trainees import TINY_DECODERS, tiny_recipe, tiny_trainee

from bench.worker.ask import decoding
from bench.worker.ask.decoding import (
    BATCH_SIZE,
    SMALL_BATCH_SIZE,
    attention_window,
    batch_size,
    batches,
    forward,
    read_tree,
)
from bench.worker.ask.prefix_tree import prefix_tree
from bench.worker.build.attention import FUSED, attention_by
from bench.worker.build.precision import autocast

BATCH_TOLERANCE = 1e-4  # float32 sums in another order
ROUNDING_TOLERANCE = 0.03  # bfloat16 has 8 bits, and the logits are of a few units
# of all kinds: alike from the start, one the beginning of another, alone, and twice
PROMPTS = [[9, 8, 7, 6, 5], [9, 8, 7], [9, 8, 4, 3, 2, 1], [30, 31], [9, 8, 7, 6, 5], [9, 40, 41, 42, 43, 44, 45, 46]]
BEGUN = [[9, 8, 7, 6], [30, 31]]  # two that are answered


def ready(model="tiny_llama"):
    trainee = tiny_trainee(model)
    trainee.model.eval()
    return trainee


def read_of(trainee, sequences, asked):
    """The reading of the sequences' tree, and the nodes that they end at."""
    tree = prefix_tree(sequences)
    with attention_by(trainee.model, FUSED):
        return read_tree(trainee, tree, dict.fromkeys(tree.ends, asked)), tree.ends


@torch.no_grad()
def whole(trainee, prompt):
    """The next token's logits, by whatever attention the model trains with."""
    return trainee.model(input_ids=torch.tensor([prompt])).logits[0, -1]


@pytest.mark.parametrize("nodes", [1, 3, 128])
@pytest.mark.parametrize("model", TINY_DECODERS)
def test_a_tree_is_read_as_its_sequences_are(model, nodes, monkeypatch):
    monkeypatch.setattr(decoding, "NODES_ON_PROCESSOR", nodes)
    trainee = ready(model)
    reading, ends = read_of(trainee, PROMPTS, [50, 51])
    for prompt, end in zip(PROMPTS, ends, strict=True):
        logits = whole(trainee, prompt)
        assert reading.likeliest[end] == int(logits.argmax())
        told = [reading.nats[end, token] for token in (50, 51)]
        assert told == pytest.approx(logits.log_softmax(-1)[[50, 51]].tolist(), abs=BATCH_TOLERANCE)


def looking_back(window):
    trainee = ready("tiny_mistral")
    trainee.model.config.sliding_window = window
    return trainee


@pytest.mark.parametrize(("config", "tokens"), [
    ({"model_type": "llama"}, 0),
    ({"model_type": "mistral", "sliding_window": 7, "layer_types": ["full_attention"]}, 7),  # which it does not ask
    ({"model_type": "mistral", "sliding_window": None}, 0),
    ({"model_type": "qwen2", "sliding_window": 7, "layer_types": ["full_attention", "sliding_attention"]}, 7),
    ({"model_type": "qwen2", "sliding_window": 7, "layer_types": ["full_attention"]}, 0),
    ({"model_type": "gemma3_text", "sliding_window": 7, "layer_types": None}, 7),
])  # fmt: skip
def test_a_model_looks_back_as_far_as_any_of_its_layers_must(config, tokens):
    assert attention_window(SimpleNamespace(**config)) == tokens


def test_a_tree_longer_than_a_window_is_refused():
    with pytest.raises(ValueError, match="a prompt of 8 tokens is longer than the 7 that attention looks back"):
        read_of(looking_back(7), PROMPTS, [50])


def test_answers_go_on_beyond_a_window():
    trainee = looking_back(max(map(len, PROMPTS)))
    reading, ends = read_of(trainee, PROMPTS, [50])
    said = reading.greedy(ends, lambda row, said: len(said) == 6)
    for prompt, answer in zip(PROMPTS, said, strict=True):
        for at, token in enumerate(answer):
            assert int(whole(trainee, prompt + answer[:at]).argmax()) == token


def test_a_tree_is_read_in_bfloat16_as_its_sequences_are(monkeypatch):
    """What trains itself is kept in float32 and computed in bfloat16."""
    monkeypatch.setattr(decoding, "NODES_ON_PROCESSOR", 3)
    trainee = tiny_trainee(method="full", recipe=tiny_recipe(method="full", precision="bfloat16"))
    trainee.model.eval()
    reading, ends = read_of(trainee, PROMPTS, [50])
    for prompt, end in zip(PROMPTS, ends, strict=True):
        with autocast(trainee.recipe, trainee.device):
            logits = whole(trainee, prompt).float()
        assert reading.nats[end, 50] == pytest.approx(float(logits.log_softmax(-1)[50]), abs=ROUNDING_TOLERANCE)


def test_no_token_is_read_twice(monkeypatch):
    """Nor is a padding: as many ids are read as the prompts have different beginnings."""
    counts = []

    def counted(trainee, ids, *more):
        counts.append(ids.numel())
        return forward(trainee, ids, *more)

    monkeypatch.setattr(decoding, "forward", counted)
    monkeypatch.setattr(decoding, "NODES_ON_PROCESSOR", 4)
    read_of(ready(), PROMPTS, [])
    assert set(counts[:-1]) == {4}
    assert sum(counts) == len({tuple(prompt[: at + 1]) for prompt in PROMPTS for at in range(len(prompt))})


def test_attention_that_takes_no_mask_of_branches_is_refused():
    trainee = ready()
    with pytest.raises(ValueError, match="eager attention would misread a tree's mask: read it by sdpa"):
        read_tree(trainee, prefix_tree(PROMPTS), {})


@pytest.mark.parametrize("model", TINY_DECODERS)
def test_rows_that_were_kept_go_on_as_whole_prompts_do(model):
    """The next token's logits, where an untrained model's likeliest token tells little."""
    trainee = ready(model)
    reading, ends = read_of(trainee, PROMPTS, [])
    rows = reading.go_on(ends)
    kept, said = [0, 3, 5], torch.tensor([[70], [71], [72]])
    rows.keep(kept)
    mask = torch.nn.functional.pad(rows.mask, (0, 1), value=1)
    logits, _ = forward(trainee, said, mask, rows.positions[:, None], rows.cache, 1)
    for at, token, row in zip(kept, said, logits[:, -1], strict=True):
        assert torch.allclose(row, whole(trainee, [*PROMPTS[at], int(token)]), atol=BATCH_TOLERANCE)


def test_choices_need_no_further_positions_than_their_own():
    """A prompt as long as GPT-2 has positions, beside a shorter one with something behind it."""
    trainee = ready("tiny_gpt2")
    longest = trainee.model.config.n_positions
    reading, ends = read_of(trainee, [[5] * longest, [6] * (longest - 2), [6] * (longest - 2) + [1, 2]], [3])
    assert all(reading.nats[end, 3] < 0 for end in ends)


def test_a_row_that_has_ended_needs_no_further_positions():
    """A prompt as long as GPT-2 has positions, beside short ones that are answered at length."""
    trainee = ready("tiny_gpt2")
    prompts = [[5] * trainee.model.config.n_positions, *([number, 6, 7] for number in range(8, 27))]
    reading, ends = read_of(trainee, prompts, [])
    said = reading.greedy(ends, lambda row, tokens: len(tokens) == (20 if row else 1))
    assert [len(tokens) for tokens in said] == [1] + [20] * 19


@pytest.mark.parametrize("model", TINY_DECODERS)
def test_what_an_answer_begins_with_is_not_read_again(model, monkeypatch):
    """Of two rows one was read as far as its third token, which the other's answer does not begin with."""
    trainee = ready(model)
    expected = said_behind(trainee, BEGUN)
    fed = []

    def counted(trainee, ids, *more):
        fed.append(ids.numel())
        return forward(trainee, ids, *more)

    monkeypatch.setattr(decoding, "forward", counted)
    known = [*BEGUN, BEGUN[0] + expected[0][:3], BEGUN[1] + [expected[1][0] + 1]]
    assert said_behind(trainee, known, everywhere=True) == expected
    assert fed == [10, 2, 1, 1, 1]  # the tree, both, and after one more token the second alone
    assert said_behind(trainee, known, (2, 3), everywhere=True) == [expected[0][:2], expected[1][:3]]


def test_an_answer_is_followed_no_further_than_the_tree_was_asked():
    """It goes on within a longer prompt, of which the end alone was asked."""
    trainee = ready()
    expected = said_behind(trainee, BEGUN)
    assert said_behind(trainee, [*BEGUN, BEGUN[0] + expected[0][:3]]) == expected


def said_behind(trainee, sequences, most=(5, 5), everywhere=False):
    """The answers to the first two sequences, of so many tokens; asked are the sequences' ends, or all nodes."""
    tree = prefix_tree(sequences)
    nodes = range(len(tree.tokens)) if everywhere else tree.ends
    with attention_by(trainee.model, FUSED):
        reading = read_tree(trainee, tree, {node: [] for node in nodes})
    return reading.greedy(tree.ends[:2], lambda row, tokens: len(tokens) == most[row])


def test_a_small_model_is_asked_many_prompts_at_once_on_a_processor(monkeypatch):
    trainee = tiny_trainee()
    assert batch_size(trainee) == SMALL_BATCH_SIZE
    assert batch_size(replace(trainee, device="cuda")) == BATCH_SIZE
    monkeypatch.setattr(decoding, "SMALL_MODEL", 1000)
    assert batch_size(trainee) == BATCH_SIZE


def test_long_answers_go_on_together(monkeypatch):
    """Few long ones among many short ones are in one batch, whatever their prompts begin with."""
    monkeypatch.setattr(decoding, "SMALL_BATCH_SIZE", 64)
    prompts = [[number % 7, 1, 2, 3] for number in range(200)]
    new_tokens = [64 if number % 5 == 0 else 8 for number in range(200)]
    found = list(batches(tiny_trainee(), prompts, new_tokens))
    assert sorted(chain(*found)) == list(range(200))
    assert set(range(0, 200, 5)) <= set(found[0])
    alike = [prompts[at][0] for at in found[1]]
    assert alike == sorted(alike)
