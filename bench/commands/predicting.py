"""`python -m bench predict`: the memory of a training step, without a card and without weights."""

import argparse
import itertools
import sys
from dataclasses import replace
from pathlib import Path

from bench.commands import Commands, Mistake, add_command, add_mirror, mirror_of, show, show_json
from bench.commands.fit import add_shape, by_trainer, changes_of, default_notes, named_model, questions, show_overview
from bench.core.case import Case, parse_case
from bench.core.recipe import SIZES
from bench.core.registry import names_in
from bench.judge.predictions import card_traces, estimators, growth, published
from bench.machine.cards import CARDS
from bench.machine.devices import DEVICES
from bench.models import MODELS
from bench.models import add as add_model
from bench.models.of_config import entry_of, other_than_predicted, read_config
from bench.predict import both
from bench.predict.card.budget import read_budget
from bench.predict.card.search import ENDS, FIELDS, STEPS, largest_that_fits, size_of
from bench.predict.prediction import Prediction
from bench.predict.question import Question, ask, of_case
from bench.predict.switches import saving_words
from bench.predict.terms import Peaks
from bench.report.on_cards import markdown
from bench.report.prediction import as_text
from bench.report.published import NAMES, page, table
from bench.report.tables import text_lines
from bench.sources import size_at_hand
from bench.tasks import TASKS

FIRST_STEPS = 8  # of a case: minutes for 8 B parameters


def add(commands: Commands) -> None:
    parser = add_command(commands, "predict", "predict the memory of a training step, without a card")
    parser.add_argument("--model", metavar="MODEL", help="a model of `python -m bench list models`; several, as A,B, "
                        "give one table")  # fmt: skip
    parser.add_argument("--config", type=Path, metavar="FILE", help="instead of --model: the config.json of a model")
    parser.add_argument("--method", metavar="METHOD", help="a method of `python -m bench list methods`; several, as "
                        "A,B, give one table")  # fmt: skip
    add_shape(parser)
    parser.add_argument(
        "--quick", action="store_true", help="the closed form alone: under a second, without loading torch"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--largest", choices=tuple(FIELDS), help="search for the largest that fits --budget")
    parser.add_argument("--budget", metavar="SIZE", help="what torch may reserve, as 8GB, or a card by its name or as "
                        "NAME=GiB; several, as X,Y, give one table")  # fmt: skip
    parser.add_argument(
        "--case", metavar="CASE", help="trace the batches of this case in their order, instead of one shape"
    )
    parser.add_argument(
        "--steps", type=int, metavar="N", help=f"with --case: trace its first N steps (default {FIRST_STEPS}; 0: all)"
    )
    parser.add_argument(
        "--data",
        choices=SIZES,
        help="with --case: the data to use (default: full where the mirror has it, else sample)",
    )
    add_mirror(parser)
    parser.add_argument("--published", action="store_true", help="compare predictions with published figures")
    parser.add_argument(
        "--measured", action="store_true", help="compare predictions with what cards measured in stored runs"
    )
    parser.add_argument(
        "--markdown", action="store_true", help="with --published: print the page results/PREDICTIONS.md"
    )
    parser.add_argument("--measure", action="store_true", help="with --measured: run the traces that are missing; with "
                        "--published: ask the estimators that are installed")  # fmt: skip
    parser.add_argument(
        "--baseline", action="store_true", help="write the peaks that suites/test_predicted.py compares with"
    )
    parser.set_defaults(work=answer, next="docs/predicting-memory.md says what is counted and how close it is")


SHAPE = "model"  # what is asked about where nothing else is
OF_SHAPE = (
    "method", "batch", "length", "rank", "precision", "checkpointing", "trainer", "quick", "json", "largest", "budget",
)  # fmt: skip
GO_WITH = {  # what is asked about, and what may be said beside it; a mirror may be the environment's, always
    "baseline": (),
    "measured": ("measure",),
    "published": ("measure", "markdown"),
    "case": ("steps", "data", "json"),
    "config": OF_SHAPE,
    SHAPE: OF_SHAPE,
}  # fmt: skip


def subject_of(arguments: argparse.Namespace) -> str:
    """What is asked about. Raises Mistake for what does not go with it."""
    given = [name for name, value in vars(arguments).items() if value is not None and value is not False]
    subject = next((name for name in GO_WITH if name in given), SHAPE)
    known = {*GO_WITH, *itertools.chain(*GO_WITH.values())}
    for name in given:
        if name in known - {subject, *GO_WITH[subject]}:
            fitting = [f"--{other}" for other, words in GO_WITH.items() if name in words]
            raise Mistake(
                f"--{name} does not go with --{subject}" + (f", but with {' or '.join(fitting)}" if fitting else "")
            )
    return subject


def answer(arguments: argparse.Namespace) -> int:
    subject = subject_of(arguments)
    if subject == "baseline":
        print(growth.write_baseline())
        return 0
    if subject == "measured":
        if arguments.measure:
            card_traces.measure(mirror_of(arguments))
        show("\n".join(markdown()))
        return 0
    if subject == "published":
        if arguments.measure:
            show(estimators.measure(), sys.stderr)
        cases = published.read_cases(estimators.read_estimates()["bytes"])
        show("\n".join(page(cases) if arguments.markdown else text_lines(table(cases), NAMES)))
        return 0
    if subject != "case" and wants_table(arguments):
        return overview(arguments)
    prediction = prediction_of_case(arguments) if subject == "case" else prediction_of_shape(arguments)
    if arguments.json:
        show_json(prediction.as_json())
    else:
        show("\n".join(as_text(prediction)))
    return 0


def wants_table(arguments: argparse.Namespace) -> bool:
    """Whether several are compared, or one with a budget. Raises Mistake where one of several would be searched."""
    several = [name for name in ("model", "method", "budget") if "," in (getattr(arguments, name) or "")]
    if arguments.largest and several:
        raise Mistake(f"--largest searches for one; name one {several[0]}, or ask `python -m bench fit` for a table")
    return bool(several) or (arguments.budget is not None and not arguments.largest)


def overview(arguments: argparse.Namespace) -> int:
    """The table of `python -m bench fit` for these models and methods, on cards of these budgets or on every card."""
    need_model_and_method(arguments)
    named = (str(arguments.config),) if arguments.config else names_in(arguments.model)
    cards = [read_budget(name) for name in names_in(arguments.budget or "")] or list(CARDS)
    models = [named_model(name) for name in named]
    return show_overview(questions(models, names_in(arguments.method), arguments), cards, arguments)


def prediction_of_shape(arguments: argparse.Namespace) -> Prediction:
    """Both predictions of batches of one shape, asked for or searched, and what a config.json says besides."""
    config = read_config(arguments.config) if arguments.config else {}
    model = add_model(entry_of(config, arguments.config)).name if config else arguments.model
    question = question_of(model, arguments)
    prediction = prediction_of(question, arguments)
    said = default_notes(arguments, [question], searched=arguments.largest)
    if arguments.trainer:
        said += [question.trainer.says, *saving_words(question)]
    return replace(prediction, reasons=[*said, *prediction.reasons, *other_than_predicted(config)])


def prediction_of(question: Question, arguments: argparse.Namespace) -> Prediction:
    if arguments.largest:
        return largest_prediction(question, arguments)
    return both.predict(question, traced=not arguments.quick and not arguments.trainer)


def prediction_of_case(arguments: argparse.Namespace) -> Prediction:
    """What the case's own batches take, in their order."""
    case, mirror = parse_case(arguments.case), mirror_of(arguments)
    steps = FIRST_STEPS if arguments.steps is None else arguments.steps
    if steps < 0:
        raise Mistake(f"--steps {steps} must be at least 1, or 0 for all")
    question = question_of_case(case, arguments.data or size_at_hand(TASKS[case.task].data, mirror))
    from bench.predict.trace.course import course_of, trace_course  # loads torch

    course = course_of(case, question.recipe, mirror, steps)

    def report_step(step: int) -> None:
        show(f"step {step + 1} of {len(course.steps)}", sys.stderr)

    peaks = trace_course(course, question.recipe, report_step)
    reasons = [*both.reasons_of(question), *course.reasons]
    return Prediction(replace(question, labels=course.labels), None, peaks, reasons, course)


def question_of_case(case: Case, data: str) -> Question:
    """The case's model, method and recipe, if they can be together on a card; how many labels, the data will say."""
    if DEVICES[case.device].torch_name == "cpu":
        raise Mistake(f"{case.id} needs no card; ask for {replace(case, device='cuda').id}")
    if refusal := TASKS[case.task].refusal(MODELS[case.model]):
        raise Mistake(refusal)
    return of_case(case, data)


def need_model_and_method(arguments: argparse.Namespace) -> None:
    if not ((arguments.model or arguments.config) and arguments.method):
        raise Mistake(
            "predict needs --model or --config and --method, or --case, --published, --measured or --baseline"
        )


def question_of(model: str, arguments: argparse.Namespace) -> Question:
    need_model_and_method(arguments)
    sought = arguments.largest
    if sought and getattr(arguments, sought) is not None:
        raise Mistake(f"--largest {sought} searches the {sought}; ask without --{sought}")
    return by_trainer(ask(model, arguments.method, **changes_of(arguments)), arguments)


def largest_prediction(question: Question, arguments: argparse.Namespace) -> Prediction:
    """Of the largest that fits the budget, by traces or with --quick by the closed form."""
    if not arguments.budget:
        raise Mistake("--largest needs --budget, as --budget 8GB or --budget rtx3090")
    card, what, quick = read_budget(arguments.budget), arguments.largest, arguments.quick

    def trace_peaks(asked: Question) -> Peaks:
        show(f"tracing a {what} of {size_of(asked, what):,}", sys.stderr)
        return both.trace_of(asked)

    quick = quick or bool(arguments.trainer)
    found = largest_that_fits(question, what, card, None if quick else trace_peaks)
    beyond = ENDS[what] if found.is_last else f"{found.size + STEPS[what]:,} does not"
    said = f"largest {what} that fits {card.name}: {found.size:,}; {beyond}"
    if hint := card.cannot(question.recipe.precision):
        said += f" ({hint})"
    prediction = both.predict(found.question, traced=not quick, peaks=found.peaks)
    if arguments.json:
        return replace(prediction, reasons=[said, *prediction.reasons], searched=found)
    show(f"{said}\n")
    return prediction
