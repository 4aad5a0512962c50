"""Customer support as in source 002: Bitext, instruction -> response.

The full data repeats instructions with different responses, so rows are split by instruction.
"""

from typing import Any

from bench.core.recipe import Recipe
from bench.models import DECODER
from bench.sources.data import DataSpec
from bench.tasks import TASKS, Prepared, Task
from bench.tasks.responses import check_rows, prepare_pairs, score_responses, split_by_group

DATA = DataSpec(
    hub_id="bitext/Bitext-customer-support-llm-chatbot-training-dataset",
    columns=("instruction", "response"),
    splits=("train",),
    samples=("support.jsonl",),
    revision="430d1a89bd93bd1fa23c16f29dd53e73f0087443",
)
PROMPT = "Customer: {instruction}\nAgent: "


def pairs(rows: list[dict], split: str) -> list[tuple[str, str, str]]:
    return [
        (f"{split}-{number}", PROMPT.format(instruction=row["instruction"]), row["response"])
        for number, row in enumerate(rows)
    ]


def prepare(rows: dict[str, list[dict]], tokenizer: Any, recipe: Recipe) -> Prepared:
    """Answer a customer."""
    found = check_rows(rows, DATA.columns)
    train, held_out = split_by_group(found, "instruction")
    return prepare_pairs(pairs(train, "train"), pairs(held_out, "test"), tokenizer, recipe)


TASKS.put(
    "support",
    Task(
        name="support",
        says="customer support, instruction to response (source 002)",
        kind=DECODER,
        data=DATA,
        run=prepare,
        score=score_responses,
        metric="loss",
        greater_is_better=False,
        smoke_methods=("lora",),
        prompt=lambda question, tokenizer: PROMPT.format(instruction=question),
    ),
)
