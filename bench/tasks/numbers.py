"""Comparison of decimals: training for the question that source 003 left open, 9.11 against 9.9.

`python -m bench probes --write` writes the rows: the training part of the decimals probe, and the probe's items with
their answers, held out by integer, phrasing and language. Also included are sequences of small sums, held out by their
terms, and plain instructions, so that a model does not learn to answer everything with a number.
"""

from typing import Any

from bench.core.recipe import Recipe
from bench.models import DECODER
from bench.models.prompts import chat
from bench.probes import CHAT, PROBES
from bench.sources.data import DataSpec
from bench.tasks import TASKS, BadData, Prepared, Task
from bench.tasks.responses import check_rows, prepare_pairs, score_responses, split_name

DATA = DataSpec(
    hub_id="",  # it is generated here only
    columns=("id", "part", "form", "prompt", "answer"),
    splits=("train",),
    samples=("numbers.jsonl",),
)


def prepare(rows: dict[str, list[dict]], tokenizer: Any, recipe: Recipe) -> Prepared:
    """Say which of two decimals, versions or dates is the larger."""
    parts: dict[str, list[tuple[str, str, str]]] = {"train": [], "held_out": []}
    for number, row in enumerate(check_rows(rows, DATA.columns), 1):
        if row["part"] not in parts:
            raise BadData(
                f"{split_name(next(iter(rows)))} row {number}: part = {row['part']!r} must be one of {', '.join(parts)}"
            )
        prompt = chat(row["prompt"], tokenizer) if row["form"] == CHAT else row["prompt"]
        parts[row["part"]].append((row["id"], prompt, row["answer"]))
    return prepare_pairs(parts["train"], parts["held_out"], tokenizer, recipe)


TASKS.put(
    "numbers",
    Task(
        name="numbers",
        says="which decimal is larger: a cure for 9.11 against 9.9",
        kind=DECODER,
        data=DATA,
        run=prepare,
        score=score_responses,
        metric="loss",
        greater_is_better=False,
        smoke_methods=("lora_all",),
        in_smoke=False,
        probes=tuple(PROBES.names()),
        prompt=chat,
    ),
)
