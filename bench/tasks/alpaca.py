"""Instruction following as in source 003: yahma/alpaca-cleaned in the Alpaca prompt (its Fig. 5)."""

from dataclasses import replace
from typing import Any

from bench.core.recipe import Recipe
from bench.models import DECODER
from bench.models.prompts import alpaca
from bench.sources.data import DataSpec
from bench.tasks import TASKS, Prepared, Task
from bench.tasks.responses import check_rows, prepare_pairs, score_responses, split_by_group

DATA = DataSpec(
    hub_id="yahma/alpaca-cleaned",
    columns=("instruction", "input", "output"),
    splits=("train",),
    samples=("alpaca.jsonl",),
    revision="12567cabf869d7c92e573c7c783905fc160e9639",
)


def pairs(rows: list[dict], split: str) -> list[tuple[str, str, str]]:
    return [
        (f"{split}-{number}", alpaca(row["instruction"], row["input"] or ""), row["output"])
        for number, row in enumerate(rows)
    ]


def prepare(rows: dict[str, list[dict]], tokenizer: Any, recipe: Recipe) -> Prepared:
    """Follow an instruction."""
    found = check_rows(rows, ("instruction", "output"))
    train, held_out = split_by_group(found, "instruction")
    return prepare_pairs(pairs(train, "train"), pairs(held_out, "test"), tokenizer, recipe)


ALPACA = TASKS.put(
    "alpaca",
    Task(
        name="alpaca",
        says="instructions in the Alpaca prompt (source 003)",
        kind=DECODER,
        data=DATA,
        run=prepare,
        score=score_responses,
        metric="loss",
        greater_is_better=False,
        smoke_methods=("lora",),
        prompt=lambda question, tokenizer: alpaca(question),
    ),
)
TASKS.put(
    "alpaca_worst",
    replace(ALPACA, name="alpaca_worst", embedded=False, smoke_methods=(),
            says="the most that alpaca can cost: every row is packed full (source 003)"),
)  # fmt: skip
