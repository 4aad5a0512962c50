"""Files generated from probes: the training rows of the task `numbers`, and lm-eval tasks.

`python -m bench probes --write` writes them. A test compares the committed files with what would be written.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.core.paths import FIXTURES, SAMPLES
from bench.models.prompts import alpaca
from bench.probes import CHAT, HELD_OUT, OWN, PROBES, TEXT, TRAIN, Item, sequences
from bench.probes.decimals import training_items

NUMBERS = SAMPLES / "numbers.jsonl"
LM_EVAL = FIXTURES / "tasks"
TRAINING_SEED = 0
TRAINING_ITEMS = 3000
SEQUENCES = 240
REPLAYED = SAMPLES / "alpaca.jsonl"  # plain instructions, so that not every answer becomes a number
REPLAY_ROWS = 64
REPLAY_CHARACTERS = 240  # of an instruction and its answer together: short rows train fast


def numbers_rows() -> list[dict[str, str]]:
    """The rows of the task `numbers`: training items, replayed instructions, and the asked items held out."""
    rows = [row_of(item) for item in training_items(TRAINING_SEED, TRAINING_ITEMS)]
    rows += [
        {**row_of(item), "answer": continuation_text(item)}
        for item in sequences.training_items(TRAINING_SEED, SEQUENCES)
    ]
    rows += shortest_instructions()
    return rows + [row_of(item) for item in PROBES["decimals"].items]


def continuation_text(item: Item) -> str:
    """The sequence from its beginning, then its continuation: repeating it helps a small model to continue it."""
    shown = sequences.shown_terms(item)
    return ", ".join(map(str, [*shown, *sequences.rest_of(shown, item.group)][: sequences.TRAINED_TERMS]))


def row_of(item: Item) -> dict[str, str]:
    return {"id": item.id, "part": item.part, "form": item.form, "prompt": item.prompt, "answer": item.answer}


def shortest_instructions() -> list[dict[str, str]]:
    """The shortest of the sample's instructions, in the Alpaca prompt."""
    lines = REPLAYED.read_text(encoding="utf-8").splitlines()
    found = []
    for number, row in enumerate(map(json.loads, lines)):
        if sum(len(row[name]) for name in ("instruction", "input", "output")) <= REPLAY_CHARACTERS:
            prompt = alpaca(row["instruction"], row["input"])
            found.append(
                {"id": f"replay-{number}", "part": TRAIN, "form": TEXT, "prompt": prompt, "answer": row["output"]}
            )
    return found[:REPLAY_ROWS]


def lm_eval_form(family: str) -> str:
    """The form of the items that lm-eval asks: plain texts if there are any, because a chat needs a template."""
    return TEXT if any(item.form == TEXT for item in PROBES[family].items) else CHAT


def lm_eval_rows(family: str) -> list[dict[str, Any]]:
    """The family's held-out items of that form, multiple choice where it compares choices."""
    form = lm_eval_form(family)
    return [lm_eval_row(item) for item in PROBES[family].items if item.form == form and item.part == HELD_OUT]


def lm_eval_row(item: Item) -> dict[str, Any]:
    compared = {"choices": list(item.choices), "gold": item.choices.index(item.answer)} if item.choices else {}
    return {"id": item.id, "language": item.language, "group": item.group, "prompt": item.prompt, **compared}


def files() -> dict[Path, str]:
    """Every generated file and its text."""
    made = {NUMBERS: json_lines(numbers_rows())}
    for family in PROBES:
        made[LM_EVAL / f"{OWN}{family.name}.jsonl"] = json_lines(lm_eval_rows(family.name))
    return made


def json_lines(rows: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
