"""Probes asked in the worker: greedy answers and log-probabilities of the choices from one prefill of a prompt.

The choices' log-probabilities are in nats, summed over their tokens.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch

from bench.models.prompts import HEADING, chat
from bench.probes import CHAT, TEXT, Item
from bench.tasks.responses import starts_with_bos
from bench.worker.ask.decoding import Reading, batches, read_tree
from bench.worker.ask.generate import continuations
from bench.worker.ask.onednn import linear_layers_by_onednn
from bench.worker.ask.prefix_tree import prefix_tree
from bench.worker.build.attention import FUSED, attention_by
from bench.worker.build.precision import autocast, autocast_dtype
from bench.worker.train.trainee import Trainee


@dataclass(frozen=True)
class Reply:
    """A model's answer, and its log-probability of each choice.

    cut: whether the answer ended at the limit of tokens.
    """

    text: str
    choice_nats: tuple[float, ...]
    cut: bool

    def margin(self, item: Item) -> float | None:
        """How much likelier the right choice is than the likeliest other, in nats; None where none is compared."""
        if not item.choices:
            return None
        right = item.choices.index(item.answer)
        return self.choice_nats[right] - max(nats for at, nats in enumerate(self.choice_nats) if at != right)


def prompt_ids(item: Item, tokenizer: Any) -> list[int]:
    """The prompt as the model sees it. A chat template writes its own beginning of sequence."""
    if item.form == CHAT and tokenizer.chat_template:
        return tokenizer(chat(item.prompt, tokenizer), add_special_tokens=False)["input_ids"]
    return text_ids(item.prompt, tokenizer)


def text_ids(text: str, tokenizer: Any) -> list[int]:
    first = [tokenizer.bos_token_id] if starts_with_bos(tokenizer) else []
    return first + tokenizer(text, add_special_tokens=False)["input_ids"]


@dataclass(frozen=True)
class Question:
    """An item in tokens. headed: whether an answer ends at a heading, as those to plain texts do.

    Plain-text families never parse past a heading.
    """

    prompt: list[int]
    choices: list[list[int]]
    new_tokens: int
    headed: bool

    def is_answered(self, said: Sequence[int], end: int, tokenizer: Any) -> bool:
        """Whether the answer is whole: it has all its tokens, or has ended, or has come to a heading."""
        if len(said) == self.new_tokens or said[-1] == end:
            return True
        if not self.headed:
            return False
        text = tokenizer.decode(said).strip()
        return text.endswith(HEADING) and not text.startswith("#")  # which is an answer in markup

    def reply(self, said: Sequence[int], choice_nats: tuple[float, ...], end: int, tokenizer: Any) -> Reply:
        """The reply that a whole answer's tokens spell."""
        ended = said[-1] == end
        text = tokenizer.decode(said[:-1] if ended else said, skip_special_tokens=True).strip()
        return Reply(text, choice_nats, cut=len(said) == self.new_tokens and not ended)


def question_of(item: Item, tokenizer: Any, vocabulary: int, new_tokens: int) -> Question:
    """The item in tokens, ids modulo the model's vocabulary."""
    texts = [tokenizer(choice, add_special_tokens=False)["input_ids"] for choice in item.choices]
    prompt, *choices = [[token % vocabulary for token in ids] for ids in (prompt_ids(item, tokenizer), *texts)]
    return Question(prompt, choices, new_tokens, headed=item.form == TEXT)


@contextlib.contextmanager
def reading_only(trainee: Trainee) -> Iterator[None]:
    """Inside, the model computes in the ways that are fastest when nothing trains."""
    trainee.model.eval()
    plain = autocast_dtype(trainee.recipe) is None  # autocast, in which others compute, knows nothing of oneDNN's way
    products = linear_layers_by_onednn(trainee.model) if plain else contextlib.nullcontext()
    with attention_by(trainee.model, FUSED), products:
        yield


def ask(trainee: Trainee, tokenizer: Any, items: Sequence[Item], new_tokens: Sequence[int]) -> list[Reply]:
    """The reply to each item, in order, with at most its number of new tokens. Call it inside reading_only."""
    vocabulary = trainee.batching.vocabulary
    questions = [question_of(item, tokenizer, vocabulary, most) for item, most in zip(items, new_tokens, strict=True)]
    end = tokenizer.eos_token_id % vocabulary
    if not trainee.method.packs:  # virtual tokens stand where the cache of a prompt would
        return [ask_alone(trainee, tokenizer, question, end) for question in questions]
    replies: dict[int, Reply] = {}
    for batch in batches(trainee, [question.prompt for question in questions], new_tokens):
        told = ask_batch(trainee, tokenizer, [questions[at] for at in batch], end)
        replies |= zip(batch, told, strict=True)
    return [replies[at] for at in range(len(items))]


def ask_batch(trainee: Trainee, tokenizer: Any, questions: Sequence[Question], end: int) -> list[Reply]:
    """The questions' replies; end: the token that ends an answer."""
    prompts = [question.prompt for question in questions]
    reading, ends, nats = read_choices(trainee, prompts, [question.choices for question in questions])
    said = reading.greedy(ends, lambda row, said: questions[row].is_answered(said, end, tokenizer))
    return [
        question.reply(answer, tuple(told), end, tokenizer)
        for question, answer, told in zip(questions, said, nats, strict=True)
    ]


def read_choices(
    trainee: Trainee, prompts: Sequence[list[int]], choices: Sequence[list[list[int]]]
) -> tuple[Reading, list[int], list[list[float]]]:
    """Read prompts together, each with its choices; the reading, the prompts' last nodes and the choices' nats."""
    owners = [(row, choice) for row, of_row in enumerate(choices) for choice in of_row]
    tree = prefix_tree([*prompts, *(prompts[row] + choice[:-1] for row, choice in owners)])
    ends, behind = tree.ends[: len(prompts)], tree.ends[len(prompts) :]
    # a choice's first token comes after the prompt, each other one after the one before
    steps = [
        list(zip(tree.path(last)[len(prompts[row]) - 1 :][: len(choice)], choice, strict=True))
        for last, (row, choice) in zip(behind, owners, strict=True)
    ]
    asked: dict[int, set[int]] = {node: set() for node in ends}
    for node, token in chain.from_iterable(steps):
        asked.setdefault(node, set()).add(token)
    reading = read_tree(trainee, tree, asked)
    nats: list[list[float]] = [[] for _ in prompts]
    for (row, _), taken in zip(owners, steps, strict=True):
        nats[row].append(sum(reading.nats[step] for step in taken))
    return reading, ends, nats


def ask_alone(trainee: Trainee, tokenizer: Any, question: Question, end: int) -> Reply:
    """One question's reply, with a prefill for every choice: peft's virtual tokens accept no cache."""
    nats = [nats_alone(trainee, question.prompt, choice) for choice in question.choices]
    said = continuations(trainee, [question.prompt], question.new_tokens, end)[0]
    whole = next(at for at in range(1, len(said) + 1) if question.is_answered(said[:at], end, tokenizer))
    return question.reply(said[:whole], tuple(nats), end, tokenizer)


@torch.no_grad()
def nats_alone(trainee: Trainee, prompt: list[int], choice: list[int]) -> float:
    """The choice's nats, from a reading of its own. Virtual tokens' logits, where a model gives them, come first."""
    ids = torch.tensor([prompt + choice], device=trainee.device)
    with autocast(trainee.recipe, trainee.device):
        logits = trainee.model(input_ids=ids).logits
    told = logits[0, -len(choice) - 1 : -1].float().log_softmax(-1)
    return float(told.gather(-1, ids[0, len(prompt) :, None]).sum())


def text_losses(trainee: Trainee, tokenizer: Any, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Each text's loss (summed nats) and its number of tokens, the first one excluded. Call it inside reading_only.

    The keys and values of all texts are held at once.
    """
    vocabulary = trainee.batching.vocabulary
    tokens = [[token % vocabulary for token in text_ids(text, tokenizer)] for text in texts]
    firsts, others = [ids[:1] for ids in tokens], [ids[1:] for ids in tokens]
    if trainee.method.packs:
        _, _, nats = read_choices(trainee, firsts, [[ids] for ids in others])
        losses = [-told for [told] in nats]
    else:
        losses = [-nats_alone(trainee, first, rest) for first, rest in zip(firsts, others, strict=True)]
    return [{"loss": loss, "tokens": len(rest)} for loss, rest in zip(losses, others, strict=True)]
