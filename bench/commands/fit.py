"""`python -m bench fit`: which models and methods fit which cards, in one table."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.commands import Commands, Mistake, add_command, show, show_json
from bench.core.registry import names_in
from bench.machine.cards import CARDS, CardKind
from bench.methods import METHODS, Unsupported
from bench.models import DECODER, MODELS
from bench.models import add as add_model
from bench.models.of_config import entry_of, name_for, read_config
from bench.predict import both
from bench.predict.card.budget import read_budget
from bench.predict.card.overview import Fitting, fittings
from bench.predict.question import Question, ask
from bench.predict.terms import Peaks
from bench.predict.trainers import read_trainer, trainer_names
from bench.report.overview import LEGEND, NAMES, as_json, notes, overview_table, ways
from bench.report.tables import markdown_lines, text_lines
from bench.sources.hub import config_file
from bench.tasks.own import HUB_ID

DEFAULT_METHODS = "lora,qlora,qlora_lean"


def add(commands: Commands) -> None:
    parser = add_command(commands, "fit", "list what fits which card, with the largest length and batch")
    parser.add_argument("--models", required=True, metavar="A,B",
                        help="models of `python -m bench list models`, or a config.json, its folder, or owner/name "
                        "of the Hub")  # fmt: skip
    parser.add_argument("--methods", default=DEFAULT_METHODS, metavar="A,B",
                        help=f"methods of `python -m bench list methods` (default: {DEFAULT_METHODS})")  # fmt: skip
    parser.add_argument("--cards", default="", metavar="A,B",
                        help="cards by name, or your own as NAME=GiB, or what torch may reserve as 8GB (default: all "
                        f"that are known: {', '.join(CARDS.names())})")  # fmt: skip
    add_shape(parser)
    parser.add_argument(
        "--quick", action="store_true", help="trace nothing: a method without a closed form has no figure"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.set_defaults(work=answer, next="python -m bench predict shows where the memory of one of them goes")


def add_shape(parser: argparse.ArgumentParser) -> None:
    """What a batch is, and how it is computed."""
    parser.add_argument("--batch", type=int, metavar="ROWS", help="rows of one forward pass (default: the recipe's)")
    parser.add_argument("--length", type=int, metavar="TOKENS", help="tokens of a row (default: the recipe's)")
    parser.add_argument("--rank", type=int, metavar="N", help="rank of the adapter (default: the recipe's)")
    parser.add_argument("--precision", choices=("float32", "bfloat16", "float16"),
                        help="what matrix products are computed in (default: the recipe's)")  # fmt: skip
    parser.add_argument("--checkpointing", choices=("on", "off"),
                        help="gradient checkpointing (default: on for a decoder, off for an encoder)")  # fmt: skip
    parser.add_argument("--trainer", metavar="NAME", help="predict another program's step by its facts, with its "
                        f"defaults: {', '.join(trainer_names(today=True))}, or one of an earlier year")  # fmt: skip


def answer(arguments: argparse.Namespace) -> int:
    if arguments.json and arguments.markdown:
        raise Mistake("--json does not go with --markdown; ask for one")
    models = [named_model(name) for name in names_in(arguments.models)]
    cards = [read_budget(name) for name in names_in(arguments.cards)] or list(CARDS)
    return show_overview(questions(models, names_in(arguments.methods), arguments), cards, arguments)


def named_model(name: str) -> str:
    """The name of a known model; one given by its config.json, a folder or the Hub's id is made known first."""
    path = Path(name)
    if name in MODELS or not (path.exists() or "/" in name or path.suffix == ".json"):
        return MODELS[name].name
    if path.exists() or name.startswith(".") or not HUB_ID.fullmatch(name):
        return add_model(entry_of(read_config(path), path)).name
    if known := next((entry.name for entry in MODELS if entry.hub_id == name), ""):
        return known
    path = config_file(name, "main")
    return add_model(entry_of(read_config(path), path, name_for(name.rpartition("/")[2], MODELS), hub_id=name)).name


@dataclass(frozen=True)
class Asked:
    """Questions of a table, and why some pairs of model and method are none."""

    questions: list[Question]
    refusals: list[str]


def questions(models: Sequence[str], methods: Sequence[str], arguments: argparse.Namespace) -> Asked:
    """A question for each model and method that can work together. Raises Mistake where none can."""
    found, refusals = [], []
    for method in methods:
        METHODS[method]  # a name that is not there is a mistake, whatever the model
    for model in models:
        for method in methods:
            try:
                found.append(by_trainer(ask(model, method, **changes_of(arguments)), arguments))
            except Unsupported as error:
                refusals.append(str(error))
    if not found:
        raise Mistake("; ".join(refusals) or "name at least one model and one method")
    return Asked(found, refusals)


def by_trainer(question: Question, arguments: argparse.Namespace) -> Question:
    """The question about the trainer that was named, with its defaults for what was left out."""
    if not arguments.trainer:
        return question
    trainer = read_trainer(arguments.trainer)
    if arguments.checkpointing is None and question.entry.kind == DECODER:
        on = trainer.packed_checkpointing if question.method.quantised else trainer.checkpointing
        question = question.at(gradient_checkpointing=on and question.method.checkpoints)
    return question.by(trainer)


def changes_of(arguments: argparse.Namespace) -> dict[str, object]:
    """The hyperparameters that a person gave; None for what they left out."""
    return {
        "batch_size": arguments.batch,
        "max_length": arguments.length,
        "rank": arguments.rank,
        "precision": arguments.precision,
        "gradient_checkpointing": None if arguments.checkpointing is None else arguments.checkpointing == "on",
    }


def default_notes(arguments: argparse.Namespace, asked: Sequence[Question], searched: str | None = None) -> list[str]:
    """What a person left out and memory depends on most, with what was taken; searched: what needs no default."""
    said = []
    if arguments.length is None and searched != "length":
        lengths = " or ".join(f"{length:,}" for length in sorted({one.recipe.max_length for one in asked}))
        said.append(f"--length was left out: rows of {lengths} tokens, the recipe's; memory grows with them")
    if arguments.checkpointing is None and arguments.trainer:
        on = "on" if asked[0].recipe.gradient_checkpointing else "off"
        said.append(f"--checkpointing was left out: {on}, the default of {arguments.trainer}")
    elif arguments.checkpointing is None and any(one.recipe.gradient_checkpointing for one in asked):
        said.append("--checkpointing was left out: on, as for every decoder; off keeps all activations and needs more")
    return said


def show_overview(asked: Asked, cards: Sequence[CardKind], arguments: argparse.Namespace) -> int:
    """Print the table, tracing what has no closed form unless it is to be quick."""
    traces = None if arguments.quick or arguments.trainer else trace_with_progress
    found = list(fittings(asked.questions, cards, traces))
    said = [*notes(found), *default_notes(arguments, asked.questions), *asked.refusals]
    if arguments.json:
        show_json(as_json(found, said))
        return 0
    show("\n".join([*ways(found), "", *lines_of(found, arguments), "", *LEGEND, *(f"note: {one}" for one in said)]))
    return 0


def lines_of(found: Sequence[Fitting], arguments: argparse.Namespace) -> list[str]:
    table = overview_table(found)
    return markdown_lines(table, NAMES) if getattr(arguments, "markdown", False) else text_lines(table, NAMES)


def trace_with_progress(question: Question) -> Peaks:
    show(f"tracing {question.words}; half a minute for 8 B parameters", sys.stderr)
    return both.trace_of(question)
