"""A user's own data as a task, from a table in a TOML file or the command line, without Python.

    [tasks.tickets]
    data = "tickets.jsonl"        JSON lines or parquet, or a data set of the Hub as owner/name
    instruction = "question"      the column of what is asked
    response = "answer"           the column of what is to be answered

    [tasks.entities]
    data = "entities.jsonl"
    words = "tokens"              a column of lists of words
    labels = "tags"               a column of lists with one label for each word; any labels

The other keys are in KEYS. If the table names no rows to hold out, `bench.tasks.splitting` chooses them. A task of this
kind has no sample and full data, only the rows that it was given.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from string import Formatter
from typing import Any

from bench.core.files import BadFile, check_name, check_texts
from bench.core.recipe import Recipe
from bench.core.registry import nearest
from bench.models import DECODER, ENCODER
from bench.sources.data import DataSpec, columns_of
from bench.sources.errors import SourceError
from bench.tasks import BadData, Prepared, Task, pos
from bench.tasks.responses import check_rows, prepare_pairs, score_responses
from bench.tasks.splitting import held_out_rows, leaking_rows

PAIRS, TAGS = ("instruction", "response"), ("words", "labels")  # keys that name columns, and default column names
KEYS = {
    "data": "a file of JSON lines or parquet, or a data set of the Hub as owner/name",
    "instruction": "the column of what is asked",
    "response": "the column of what is to be answered",
    "prompt": "how a row becomes a prompt, with columns in braces (default: the instruction and a line end)",
    "words": "the column of lists of words",
    "labels": "the column of lists of labels",
    "held_out": "rows to evaluate on: a second file, or a split of the Hub's data set (default: a tenth of data)",
    "split": "the split of the Hub's data set to train on (default train)",
    "revision": "the commit of the Hub's data set (default main)",
    "metric": "the metric that decides",
    "says": "a sentence for python -m bench list",
}
METRICS = {
    DECODER: {"loss": False, "token_accuracy": True},  # whether more is better
    ENCODER: {"f1": True, "macro_f1": True, "seqeval_f1": True, "loss": False},
}
FORMS = (".jsonl", ".json", ".ndjson", ".parquet")
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
TRAIN, HELD_OUT = "train", "held_out"


def own_task(name: str, table: Mapping[str, Any], where: str) -> Task:
    """The task of a table, whose paths are absolute. Raises BadFile naming the place, the key and similar keys."""
    check_name(name, where)
    check_texts(table, KEYS, where)
    if "data" not in table:
        raise BadFile(f"{where}: data is missing: {KEYS['data']}")
    spec = data_spec(table, where)
    try:
        there = columns_of(Path(spec.files[0][1])) if spec.files else []
    except SourceError as error:
        raise BadFile(f"{where}: {error}") from None
    chosen = chosen_columns(table, there, where)
    kind = DECODER if chosen.keys() == {*PAIRS} else ENCODER
    prompt = table.get("prompt", f"{{{chosen.get('instruction')}}}\n")
    columns = tuple(dict.fromkeys((*chosen.values(), *(fields(prompt, where) if kind == DECODER else ()))))
    if there:
        check_names(columns, there, where)
    metric = table.get("metric", next(iter(METRICS[kind])))
    if metric not in METRICS[kind]:
        raise BadFile(f"{where}: metric = {metric!r} must be one of {', '.join(METRICS[kind])}")
    run = partial(prepare_responses, chosen, prompt) if kind == DECODER else partial(prepare_tags, chosen)
    return Task(
        name=name,
        says=table.get("says", f"your {'prompts and responses' if kind == DECODER else 'words and labels'}, "
                       f"{Path(table['data']).name if spec.files else spec.hub_id}"),
        kind=kind,
        data=DataSpec(spec.hub_id, columns, spec.splits, (), spec.revision, spec.files, paper_size=False),
        run=run,
        score=score_responses if kind == DECODER else pos.score,
        metric=metric,
        greater_is_better=METRICS[kind][metric],
        smoke_methods=("lora",),
        prompt=partial(ask_own, prompt, chosen["instruction"]) if kind == DECODER else None,
    )  # fmt: skip


def data_spec(table: Mapping[str, Any], where: str) -> DataSpec:
    """Where the rows are, without columns: existing files, or the splits of a data set on the Hub."""
    data, held_out = table["data"], table.get("held_out", "")
    if Path(data).suffix.lower() in FORMS:
        for key in ("split", "revision"):
            if key in table:
                raise BadFile(f"{where}: {key} is for a data set of the Hub, and data is a file; remove it")
        files = [(TRAIN, data), *([(HELD_OUT, held_out)] if held_out else [])]
        for key, (_, path) in zip(("data", "held_out"), files, strict=False):
            if not Path(path).is_file():
                raise BadFile(f"{where}: {key} = {path!r}: {why_no_file(Path(path))}")
        return DataSpec("", (), tuple(split for split, _ in files), (), files=tuple(files))
    if not HUB_ID.fullmatch(data):
        forms = ", ".join(FORMS)
        raise BadFile(f"{where}: data = {data!r} must end in one of {forms}, or be a data set of the Hub as owner/name")
    splits = (table.get("split", "train"), *([held_out] if held_out else []))
    return DataSpec(data, (), splits, (), table.get("revision", "main"))


def why_no_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    near = nearest(path.name, sorted(one.name for one in path.parent.iterdir() if one.suffix.lower() in FORMS))
    return "there is no such file" + (f"; did you mean {', '.join(near)}?" if near else "")


def chosen_columns(table: Mapping[str, Any], there: Sequence[str], where: str) -> dict[str, str]:
    """Column by key, for a pair of keys: the table's names, or the file's own column names."""
    for keys, of_others in ((PAIRS, TAGS), (TAGS, (*PAIRS, "prompt"))):
        given = [key for key in keys if key in table]
        others = [key for key in of_others if key in table]
        if given and others:
            raise BadFile(f"{where}: {given[0]} and {others[0]} are of different tasks; name {' and '.join(keys)}")
        if given or all(key in there for key in keys):
            if lacking := [key for key in keys if key not in table and key not in there]:
                has = f"; the data has {', '.join(there)}" if there else ""
                raise BadFile(f"{where}: {lacking[0]} is missing: {KEYS[lacking[0]]}{has}")
            return {key: table.get(key, key) for key in keys}
    has = f"; the data has {', '.join(there)}" if there else ""
    raise BadFile(f"{where}: name the columns by {' and '.join(PAIRS)}, or by {' and '.join(TAGS)}{has}")


def check_names(columns: Sequence[str], there: Sequence[str], where: str) -> None:
    for column in columns:
        if column not in there:
            near = nearest(column, list(there))
            hint = f"; did you mean {', '.join(near)}?" if near else f"; it has {', '.join(there)}"
            raise BadFile(f"{where}: the data has no column {column!r}{hint}")


def fields(prompt: str, where: str) -> list[str]:
    """The columns that a prompt names in braces."""
    try:
        found = [name for _, name, _, _ in Formatter().parse(prompt) if name is not None]
    except ValueError as error:
        raise BadFile(f"{where}: prompt = {prompt!r}: {error}; a brace that is text is written twice") from None
    if not found:
        raise BadFile(f"{where}: prompt = {prompt!r} must name a column in braces, as {{question}}")
    return found


def prepare_responses(
    columns: Mapping[str, str], prompt: str, rows: dict[str, list[dict]], tokenizer: Any, recipe: Recipe
) -> Prepared:
    """Answer as the responses do."""
    for split, part in rows.items():
        check_rows({split: part}, tuple(columns.values()))
    train, held_out, reasons = split_rows(rows, asked_text(prompt, rows))

    def pairs(part: list[dict], name: str) -> list[tuple[str, str, str]]:
        asked = enumerate((fill_in(prompt, row), row[columns["response"]]) for row in part)
        return [(f"{name}-{number}", *pair) for number, pair in asked]

    return with_reasons(prepare_pairs(pairs(train, "train"), pairs(held_out, "test"), tokenizer, recipe), reasons)


def asked_text(prompt: str, rows: Mapping[str, list[dict]]) -> Callable[[Mapping[str, Any]], str]:
    """A function that returns the text by which rows are compared: the prompt's columns that differ between rows.

    An instruction or a template that all rows share would make all of them nearly the same.
    """
    names = fields(prompt, "prompt")
    every = [row for part in rows.values() for row in part]
    differing = [name for name in names if len({str(row[name]) for row in every}) > 1] or names
    return lambda row: fill_in(" ".join(f"{{{name}}}" for name in differing), row)


def fill_in(prompt: str, row: Mapping[str, Any]) -> str:
    return prompt.format_map({name: "" if value is None else value for name, value in row.items()})


def ask_own(prompt: str, column: str, question: str, tokenizer: Any) -> str:
    """A person's question in the prompt: in the instruction's column, or in the first if the prompt lacks that one."""
    named = fields(prompt, "prompt")
    asked = column if column in named else named[0]
    return fill_in(prompt, {**dict.fromkeys(named, ""), asked: question})


def prepare_tags(columns: Mapping[str, str], rows: dict[str, list[dict]], tokenizer: Any, recipe: Recipe) -> Prepared:
    """Label words as the labels do."""
    sentences = {
        split: pos.check_rows([{key: as_texts(row[column]) for key, column in columns.items()} for row in part], split)
        for split, part in rows.items()
    }
    train, held_out, reasons = split_rows(sentences, lambda one: " ".join(one.words), lambda one: one.tags)
    return with_reasons(pos.prepare_tagged(train, held_out, tokenizer, recipe), reasons)


def as_texts(value: Any) -> Any:
    """The list with whole numbers converted to text, because labels are often numbers."""
    return [str(item) if type(item) is int else item for item in value] if isinstance(value, list) else value


def with_reasons(prepared: Prepared, reasons: list[str]) -> Prepared:
    prepared.reasons.extend(reasons)
    return prepared


def split_rows(
    rows: Mapping[str, list[Any]], text: Callable[[Any], str], needed: Callable[[Any], Collection[str]] | None = None
) -> tuple[list[Any], list[Any], list[str]]:
    """The training rows, the held-out rows, and sentences about the split. Raises BadData if nothing can be held out.

    needed: the values of a held-out row, such as labels, that training rows must contain too.
    """
    parts = list(rows.values())
    if len(parts) == 2:
        train, held_out = parts
        leaking = leaking_rows([text(row) for row in train], [text(row) for row in held_out])
        kept = [row for number, row in enumerate(held_out) if number not in leaking]
        if not kept:
            raise BadData("every held-out row has nearly the text of a training row; hold out other rows")
        return train, kept, [f"{len(leaking)} held-out rows left out, nearly a training row's text"] * bool(leaking)
    (part,) = parts
    chosen = held_out_rows([text(row) for row in part], [needed(row) for row in part] if needed else ())
    if not chosen:
        raise BadData(
            f"{len(part)} rows are too few or too alike to hold some out: rows of nearly the same text stay together"
            + (", and training must see every label" if needed else "")
            + "; add rows, or name others as held_out"
        )
    train = [row for number, row in enumerate(part) if number not in chosen]
    return train, [part[number] for number in sorted(chosen)], []
