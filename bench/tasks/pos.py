"""Part-of-speech tagging as in source 001: batterydata/pos_tagging, Penn Treebank tags.

`f1`, the headline, is the micro-averaged F1 over words. Every word has one tag, so `f1` is the share of words with the
right tag and equals `accuracy`: every confusion counts. `macro_f1` is the mean of each tag's own F1
over the tags of the held-out words, so a rare tag counts as much as NN. `loss` is the mean over the scored words.

`seqeval_f1`, `seqeval_precision` and `seqeval_recall` are what source 001 reports. seqeval reads a bare tag as a
prefix (its first character) and a type (the rest): NN and IN are both of type N, VB and RB of type B, and a tag of one
character has no type. Neighbouring words of one type are one span. Many confusions therefore change nothing. Only
the claims of the source use these figures.

A held-out word has no prediction if it becomes no token or if max_length cuts it off. It counts as wrong in `f1`,
`accuracy` and `macro_f1`, and a reason in the record says how many such words there are. seqeval's figures leave it
out, as the source does.
"""

import ast
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from bench.core.recipe import Recipe
from bench.models import ENCODER
from bench.sources.data import DataSpec
from bench.tasks import IGNORE, TASKS, BadData, Example, Prepared, Score, Task

DATA = DataSpec(
    hub_id="batterydata/pos_tagging",
    columns=("words", "labels"),
    splits=("train", "test"),
    samples=("pos_news.jsonl", "pos_everyday.jsonl"),
)
HELD_OUT_EVERY = 5  # every fifth sentence of the sample, which has no split of its own
SMOKE_METHODS = ("full", "head", "lora", "lora_all", "dora", "adalora", "ia3", "prefix", "prompt", "qlora")
RARE = 5  # sentences with a tag that fewer sentences have stay in the training part
NO_INDEX = -1  # the predicted label of a word without a prediction; no tag has this index


class Sentence(NamedTuple):
    """A row: its words, a tag for each, and its place in the data."""

    words: list[str]
    tags: list[str]
    where: str


def as_list(value: Any, where: str) -> list[str]:
    """A column's value as words; the data set stores lists as Python literals."""
    if isinstance(value, str):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            raise BadData(f"{where}: {value[:40]!r} is no list of words") from None
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise BadData(f"{where}: expected a list of words, saw {type(value).__name__}")
    return list(value)


def check_rows(rows: list[dict], split: str) -> list[Sentence]:
    """The rows, checked. Raises BadData naming the row for an empty one, unequal lengths, or a blank word or tag."""
    sentences = []
    for number, row in enumerate(rows, 1):
        where = f"{split} row {number}"
        words, tags = as_list(row["words"], f"{where}, words"), as_list(row["labels"], f"{where}, labels")
        if len(words) != len(tags):
            raise BadData(f"{where}: {len(words)} words but {len(tags)} labels; there must be one label a word")
        if not words:
            raise BadData(f"{where}: empty; remove it")
        for place, (word, tag) in enumerate(zip(words, tags, strict=True), 1):
            if not word.strip() or not tag.strip():
                raise BadData(f"{where}: word {place} is {word!r} with the label {tag!r}; remove both, or fill them")
        sentences.append(Sentence(words, tags, where))
    return sentences


def split_sample(sentences: list[Sentence]) -> tuple[list[Sentence], list[Sentence]]:
    """Hold out every fifth sentence, unless one of its tags is rare: a model must see a tag to learn it."""
    counts = Counter(tag for sentence in sentences for tag in set(sentence.tags))
    train: list[Sentence] = []
    held_out: list[Sentence] = []
    for number, sentence in enumerate(sentences):
        chosen = number % HELD_OUT_EVERY == 0 and all(counts[tag] >= RARE for tag in sentence.tags)
        (held_out if chosen else train).append(sentence)
    return train, held_out


def encode(
    sentences: list[Sentence], split: str, labels: dict[str, int], tokenizer: Any, recipe: Recipe
) -> tuple[list[Example], int]:
    """Examples with each word's label on its first sub-word, and how many sentences were cut.

    Raises BadData for a sentence without any word left, because nothing in it could be scored.
    """
    examples, cut = [], 0
    encoded = tokenizer([sentence.words for sentence in sentences], is_split_into_words=True)
    for number, (words, tags, where) in enumerate(sentences):
        ids, word_ids = encoded["input_ids"][number], encoded.word_ids(number)
        if len(ids) > recipe.max_length:
            end = int(word_ids[-1] is None)  # a special token at the end stays at the end
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
        if not seen:
            raise BadData(
                f"{where}: none of its words, {words!r:.60}, becomes a token within max_length = {recipe.max_length}; "
                "remove the row"
            )
        unscored = [labels[tag] for word, tag in enumerate(tags) if word not in seen]
        examples.append(Example(f"{split}-{number}", ids, row, prompt=" ".join(words), unscored=unscored))
    return examples, cut


def unscored_reasons(train: list[Example], held_out: list[Example], recipe: Recipe) -> list[str]:
    """A sentence for each part that has words without a token of their own."""
    why = f"become no token, or are cut off by max_length = {recipe.max_length}"
    parts = (
        (held_out, "held-out", "they count as wrong in f1, accuracy and macro_f1"),
        (train, "training", "they teach nothing"),
    )
    counts = [(sum(len(example.unscored) for example in part), name, so) for part, name, so in parts]
    return [f"{count} {name} words {why}; {so}" for count, name, so in counts if count]


def limit_items(items: list, limit: int) -> list:
    return items[:limit] if limit else items


def prepare(rows: dict[str, list[dict]], tokenizer: Any, recipe: Recipe) -> Prepared:
    """Tag words with Penn Treebank tags."""
    if "all" in rows:
        train, held_out = split_sample(check_rows(rows["all"], "sample"))
    else:
        train, held_out = check_rows(rows["train"], "train"), check_rows(rows["test"], "test")
    if not held_out:
        held = f"of the sample each row of {HELD_OUT_EVERY} is, unless one of its tags is in fewer than {RARE} rows"
        raise BadData(f"no row is held out{': ' + held if 'all' in rows else ': the test part is empty'}; add rows")
    return prepare_tagged(train, held_out, tokenizer, recipe)


def prepare_tagged(train: list[Sentence], held_out: list[Sentence], tokenizer: Any, recipe: Recipe) -> Prepared:
    """Both parts encoded, with the recipe's limits. Raises BadData for a label that is not in the training part."""
    train, held_out = limit_items(train, recipe.train_examples), limit_items(held_out, recipe.evaluation_examples)
    if not train:
        raise BadData("no row is left to train on; add rows")
    names = sorted({tag for sentence in train for tag in sentence.tags})
    unseen = Counter(tag for sentence in held_out for tag in sentence.tags if tag not in names)
    if unseen:
        told = ", ".join(f"{tag} ({count} tokens)" for tag, count in unseen.items())
        raise BadData(
            f"held-out rows have labels that no training row has: {told}; add training rows with them or correct them"
        )
    index = {name: number for number, name in enumerate(names)}
    train_examples, train_cut = encode(train, "train", index, tokenizer, recipe)
    held_out_examples, held_out_cut = encode(held_out, "test", index, tokenizer, recipe)
    share = (train_cut + held_out_cut) / (len(train) + len(held_out))
    reasons = unscored_reasons(train_examples, held_out_examples, recipe)
    return Prepared(train_examples, held_out_examples, names, share, reasons)


def bare_spans(gold: list[list[str]], predicted: list[list[str]]) -> dict[str, float]:
    """seqeval's micro-averaged precision, recall and F1 on bare tags, as source 001 computes them."""
    from seqeval.metrics import f1_score, precision_score, recall_score

    with warnings.catch_warnings():
        # seqeval warns for every tag without a B- or I- prefix, and for spans never predicted
        warnings.simplefilter("ignore")
        return {
            "seqeval_f1": float(f1_score(gold, predicted, zero_division=0)),
            "seqeval_precision": float(precision_score(gold, predicted, zero_division=0)),
            "seqeval_recall": float(recall_score(gold, predicted, zero_division=0)),
        }


def score(prepared: Prepared, outcomes: Sequence[dict[str, Any]]) -> Score:
    """Metrics from the predicted label index of each scored word. outcomes: predicted, loss."""
    names = prepared.labels
    gold = [[label for label in example.labels if label != IGNORE] for example in prepared.held_out]
    guessed = [list(outcome["predicted"]) for outcome in outcomes]
    quality = word_metrics(gold, guessed, [example.unscored for example in prepared.held_out])
    quality |= bare_spans([[names[i] for i in row] for row in gold], [[names[i] for i in row] for row in guessed])
    quality["loss"] = sum(outcome["loss"] for outcome in outcomes) / sum(map(len, gold))
    rows = [
        {"key": example.key, "gold": g, "predicted": p, "loss": outcome["loss"]}
        | ({"unscored": example.unscored} if example.unscored else {})
        for example, g, p, outcome in zip(prepared.held_out, gold, guessed, outcomes, strict=True)
    ]
    pairs = Counter(zip(flat(gold), flat(guessed), strict=True))
    counts = [[pairs[right, taken] for taken in range(len(names))] for right in range(len(names))]
    return Score(quality, rows, {"confusion": {"labels": names, "counts": counts}})


def word_metrics(gold: list[list[int]], guessed: list[list[int]], unscored: list[list[int]]) -> dict[str, float]:
    """f1, accuracy and macro_f1 over all words; every unscored word counts as wrong."""
    from sklearn.metrics import f1_score

    without = flat(unscored)
    words = [*flat(gold), *without]
    answers = [*flat(guessed), *[NO_INDEX] * len(without)]
    right = sum(a == b for a, b in zip(words, answers, strict=True)) / len(words)
    present = sorted(set(words))
    macro = float(f1_score(words, answers, labels=present, average="macro", zero_division=0))
    return {"f1": right, "accuracy": right, "macro_f1": macro}


def flat(rows: list[list[int]]) -> list[int]:
    return [label for row in rows for label in row]


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
