"""Part-of-speech tagging as source 001 does it: batterydata/pos_tagging, Penn Treebank tags.

Precision, recall and F1 are seqeval's on labels without B-/I- prefixes, so neighbouring equal tags count
as one span; that is why F1 is below accuracy. Macro F1 is the mean over tags of the per-token F1.
"""

import ast
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

from bench.models import ENCODER
from bench.recipe import Recipe
from bench.sources.data import DataSpec
from bench.tasks import IGNORE, TASKS, BadData, Example, Prepared, Score, Task

DATA = DataSpec(
    hub_id="batterydata/pos_tagging",
    columns=("words", "labels"),
    splits=("train", "test"),
    samples=("pos_news.jsonl", "pos_everyday.jsonl"),
)
HELD_OUT_EVERY = 5  # of the sample, which comes in one piece: each fifth sentence
SMOKE_METHODS = ("full", "head", "lora", "lora_all", "dora", "adalora", "ia3", "prefix", "prompt", "qlora")
RARE = 5  # a tag in fewer sentences than this keeps them in the training part


def as_list(value: Any, where: str) -> list[str]:
    """A column's value as words; the data set stores lists as their Python text."""
    if isinstance(value, str):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            raise BadData(f"{where}: {value[:40]!r} is no list of words") from None
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise BadData(f"{where}: expected a list of words, saw {type(value).__name__}")
    return list(value)


def tagged(rows: list[dict], split: str) -> list[tuple[list[str], list[str]]]:
    """(words, tags) of each row. Raises BadData naming the row for an empty one or unequal lengths."""
    sentences = []
    for number, row in enumerate(rows, 1):
        where = f"{split} row {number}"
        words, tags = as_list(row["words"], f"{where}, words"), as_list(row["labels"], f"{where}, labels")
        if len(words) != len(tags):
            raise BadData(f"{where}: {len(words)} words but {len(tags)} labels; there must be one label a word")
        if not words:
            raise BadData(f"{where}: empty; remove it")
        sentences.append((words, tags))
    return sentences


def split_sample(sentences: list) -> tuple[list, list]:
    """Each fifth sentence is held out, unless one of its tags is rare: a tag must be seen to be learned."""
    counts = Counter(tag for _, tags in sentences for tag in set(tags))
    train: list = []
    held_out: list = []
    for number, sentence in enumerate(sentences):
        chosen = number % HELD_OUT_EVERY == 0 and all(counts[tag] >= RARE for tag in sentence[1])
        (held_out if chosen else train).append(sentence)
    return train, held_out


def encode(sentences: list, split: str, labels: dict[str, int], tokenizer: Any, recipe: Recipe) -> tuple[list, int]:
    """Examples with each word's label on its first sub-word, and how many sentences were cut."""
    examples, cut = [], 0
    encoded = tokenizer([words for words, _ in sentences], is_split_into_words=True)
    for number, (words, tags) in enumerate(sentences):
        ids, word_ids = encoded["input_ids"][number], encoded.word_ids(number)
        if len(ids) > recipe.max_length:
            end = int(word_ids[-1] is None)  # a special token at the end stays there
            kept = [*range(recipe.max_length - end), *range(len(ids) - end, len(ids))]
            ids, word_ids = [ids[index] for index in kept], [word_ids[index] for index in kept]
            cut += 1
        seen: set[int] = set()
        row = []
        for word in word_ids:
            first = word is not None and word not in seen
            row.append(labels[tags[word]] if first else IGNORE)
            if word is not None:
                seen.add(word)
        examples.append(Example(f"{split}-{number}", ids, row, prompt=" ".join(words)))
    return examples, cut


def limited(items: list, limit: int) -> list:
    return items[:limit] if limit else items


def prepare(rows: dict[str, list[dict]], tokenizer: Any, recipe: Recipe) -> Prepared:
    """Tag words with Penn Treebank tags."""
    if "all" in rows:
        train, held_out = split_sample(tagged(rows["all"], "sample"))
    else:
        train, held_out = tagged(rows["train"], "train"), tagged(rows["test"], "test")
    train, held_out = limited(train, recipe.train_examples), limited(held_out, recipe.evaluation_examples)
    names = sorted({tag for _, tags in train for tag in tags})
    unseen = Counter(tag for _, tags in held_out for tag in tags if tag not in names)
    if unseen:
        told = ", ".join(f"{tag} ({count} tokens)" for tag, count in unseen.items())
        raise BadData(
            f"held-out rows have labels that no training row has: {told}; add training rows with them or correct them"
        )
    index = {name: number for number, name in enumerate(names)}
    train_examples, train_cut = encode(train, "train", index, tokenizer, recipe)
    held_out_examples, held_out_cut = encode(held_out, "test", index, tokenizer, recipe)
    share = (train_cut + held_out_cut) / max(1, len(train) + len(held_out))
    return Prepared(train_examples, held_out_examples, names, share)


def spans(gold: list[list[str]], predicted: list[list[str]]) -> dict[str, float]:
    """seqeval's micro-averaged precision, recall and F1 over spans of equal tags."""
    from seqeval.metrics import f1_score, precision_score, recall_score

    with warnings.catch_warnings():
        # seqeval warns for every tag without a B- or I- prefix, and for spans never predicted
        warnings.simplefilter("ignore")
        return {
            "precision": float(precision_score(gold, predicted, zero_division=0)),
            "recall": float(recall_score(gold, predicted, zero_division=0)),
            "f1": float(f1_score(gold, predicted, zero_division=0)),
        }


def score(prepared: Prepared, outcomes: Sequence[dict[str, Any]]) -> Score:
    """Metrics from the predicted label index of each scored token. outcomes: predicted, loss, tokens."""
    from sklearn.metrics import confusion_matrix, f1_score

    names = prepared.labels
    gold = [[label for label in example.labels if label != IGNORE] for example in prepared.held_out]
    guessed = [list(outcome["predicted"]) for outcome in outcomes]
    flat_gold = [label for row in gold for label in row]
    flat_guessed = [label for row in guessed for label in row]
    tokens = len(flat_gold)
    quality = spans([[names[i] for i in row] for row in gold], [[names[i] for i in row] for row in guessed])
    quality["accuracy"] = sum(a == b for a, b in zip(flat_gold, flat_guessed, strict=True)) / tokens
    present = sorted(set(flat_gold))
    quality["macro_f1"] = float(f1_score(flat_gold, flat_guessed, labels=present, average="macro", zero_division=0))
    quality["loss"] = sum(outcome["loss"] for outcome in outcomes) / tokens
    rows = [
        {"key": example.key, "gold": g, "predicted": p, "loss": outcome["loss"]}
        for example, g, p, outcome in zip(prepared.held_out, gold, guessed, outcomes, strict=True)
    ]
    counts = confusion_matrix(flat_gold, flat_guessed, labels=range(len(names)))
    return Score(quality, rows, {"confusion": {"labels": names, "counts": counts.tolist()}})


TASKS.put(
    "pos",
    Task(
        name="pos",
        says="part-of-speech tags (source 001)",
        kind=ENCODER,
        data=DATA,
        run=prepare,
        score=score,
        metric="f1",
        greater_is_better=True,
        smoke_methods=SMOKE_METHODS,
    ),
)
