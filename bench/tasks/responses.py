"""Code shared by tasks with prompts and responses: the loss counts the response's tokens alone.

The response ends with the end-of-sequence token, which also counts, because a model must learn to stop.
"""

import random
from collections.abc import Iterable, Sequence
from typing import Any

from bench.core.recipe import Recipe
from bench.sources.tokenizer import BYTES
from bench.tasks import IGNORE, BadData, Example, Prepared, Score

HELD_OUT_SHARE = 0.1
HELD_OUT_LIMIT = 500  # held-out rows of a full data set; more would only cost time
ALSO_OF_BYTES = (
    ", or let the text have fewer tokens: it is split into bytes, for no tokenizer was found; name a "
    "tokenizer_stand_in in the model's entry, or give a mirror that has the model's tokenizer"
)
SPLIT_SEED = 20260101  # the split belongs to the task, not to a case's seed


def split_by_group(rows: list[dict], group: str) -> tuple[list[dict], list[dict]]:
    """Training and held-out rows. No text of the group column is in both, so that nothing leaks.

    Texts that differ only in case, white space or final punctuation are the same. At most HELD_OUT_LIMIT held-out rows
    are kept, evenly spread, because a file is often sorted by subject.
    """
    values = sorted({row[group] for row in rows})
    random.Random(SPLIT_SEED).shuffle(values)
    chosen = set(map(normalise, values[: max(1, round(len(values) * HELD_OUT_SHARE))]))
    train = [row for row in rows if normalise(row[group]) not in chosen]
    held_out = [row for row in rows if normalise(row[group]) in chosen]
    if not train or not held_out:
        raise BadData(f"{len(rows)} rows with {len(values)} values of {group!r} are too few to hold some out; add rows")
    kept = min(len(held_out), HELD_OUT_LIMIT)
    return train, [held_out[number * len(held_out) // kept] for number in range(kept)]


def normalise(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(" .?!")


def encode(pairs: Iterable[tuple[str, str, str]], tokenizer: Any, recipe: Recipe) -> tuple[list[Example], int, int]:
    """Examples from (key, prompt, answer); how many were cut; how many had no room left for an answer."""
    examples, cut, dropped = [], 0, 0
    end = tokenizer.eos_token_id
    first = [tokenizer.bos_token_id] if starts_with_bos(tokenizer) else []
    for key, prompt, answer in pairs:
        asked = first + tokenizer(prompt, add_special_tokens=False)["input_ids"]
        if not asked:  # nothing would come before the answer's first token to predict it
            raise BadData(f"{key}: its prompt {prompt!r:.60} becomes no token; remove the row")
        told = [*tokenizer(answer, add_special_tokens=False)["input_ids"], end]
        ids = (asked + told)[: recipe.max_length]
        cut += len(asked) + len(told) > recipe.max_length
        if len(ids) <= len(asked):
            dropped += 1
            continue
        labels = [IGNORE] * len(asked) + ids[len(asked) :]
        examples.append(Example(key, ids, labels, prompt=prompt, answer=answer))
    return examples, cut, dropped


def starts_with_bos(tokenizer: Any) -> bool:
    """Whether the tokenizer itself puts the beginning-of-sequence token first."""
    ids = tokenizer("a")["input_ids"]
    return tokenizer.bos_token_id is not None and ids[0] == tokenizer.bos_token_id


def prepare_pairs(
    train: list[tuple[str, str, str]], held_out: list[tuple[str, str, str]], tokenizer: Any, recipe: Recipe
) -> Prepared:
    """Both parts encoded, with the recipe's limits. Raises BadData if a part is left empty."""
    for part, says in ((train, "to train on"), (held_out, "held out")):
        if not part:
            raise BadData(f"no row is {says}; add rows, for training and for evaluation need one each")
    train = train[: recipe.train_examples] if recipe.train_examples else train
    held_out = held_out[: recipe.evaluation_examples] if recipe.evaluation_examples else held_out
    train_examples, train_cut, train_dropped = encode(train, tokenizer, recipe)
    held_out_examples, held_out_cut, held_out_dropped = encode(held_out, tokenizer, recipe)
    reasons = []
    if dropped := train_dropped + held_out_dropped:
        reasons.append(f"{dropped} examples dropped: their prompt alone fills max_length = {recipe.max_length}")
    if not train_examples or not held_out_examples:
        remedy = ALSO_OF_BYTES if tokenizer.name_or_path == BYTES else ""
        raise BadData(f"no example is left: every prompt fills max_length = {recipe.max_length}; raise it{remedy}")
    share = (train_cut + held_out_cut) / (len(train) + len(held_out))
    return Prepared(train_examples, held_out_examples, [], share, reasons)


def check_rows(splits: dict[str, list[dict]], columns: Sequence[str]) -> list[dict]:
    """The rows of the only split, checked. Raises BadData naming split, row and column of a blank or non-text value."""
    ((split, rows),) = splits.items()
    for number, row in enumerate(rows, 1):
        for column in columns:
            where = f"{split_name(split)} row {number}: {column}"
            if row[column] is not None and not isinstance(row[column], str):
                raise BadData(f"{where} must be text, not {type(row[column]).__name__}; correct the row")
            if not row[column] or not row[column].strip():
                raise BadData(f"{where} is empty; remove the row or fill it")
    return rows


def split_name(split: str) -> str:
    """The split's name for messages: the sample comes in one piece, stored under "all"."""
    return "sample" if split == "all" else split


def score_responses(prepared: Prepared, outcomes: Sequence[dict[str, Any]]) -> Score:
    """Loss in nats per response token, and next-token accuracy. outcomes: loss, tokens, correct."""
    tokens = sum(outcome["tokens"] for outcome in outcomes)
    quality = {
        "loss": sum(outcome["loss"] for outcome in outcomes) / tokens,
        "token_accuracy": sum(outcome["correct"] for outcome in outcomes) / tokens,
    }
    rows = [
        {"key": example.key, **{name: outcome[name] for name in ("loss", "tokens", "correct")}}
        for example, outcome in zip(prepared.held_out, outcomes, strict=True)
    ]
    return Score(quality, rows)
