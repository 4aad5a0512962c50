"""`python -m bench ask RUN/CASE...`: a question to kept adapters and their base, answered side by side."""

import argparse
import math
import random
import shutil
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.commands import Commands, Mistake, add_command, add_mirror, mirror_of, show, show_as_is
from bench.executor.local.memory_limit import free_bytes
from bench.machine.devices import DEVICES, cards, missing
from bench.records.kept import KEPT_HELP, find_kept
from bench.records.votes import LETTERS, TIE, add_vote, make_vote, preference, read_votes, shuffle, votes_folder
from bench.report.columns import in_columns

NEW_TOKENS = 128
ROWS_KEPT_FREE = 2  # of the terminal, below the columns that are drawn again


@dataclass(frozen=True)
class Question:
    """A question, with the actual answer and its place if a source has one."""

    text: str
    actual: str = ""
    where: str = ""


def add(commands: Commands) -> None:
    parser = add_command(commands, "ask", "ask kept adapters and their base a question, side by side")
    parser.add_argument("kept", nargs="+", metavar="RUN/CASE", help=KEPT_HELP)
    parser.add_argument(
        "-q", "--question", action="append", default=[], metavar="TEXT",
        help="a question; may be repeated (default: read questions from standard input)",
    )  # fmt: skip
    parser.add_argument("--examples", action="store_true",
                        help="ask the questions that the task's source prints, actual answers beside")  # fmt: skip
    parser.add_argument("--vote", action="store_true",
                        help="ask which is better without the names: a case or its base, or two cases")  # fmt: skip
    parser.add_argument("--temperature", type=float, default=0.0, metavar="T",
                        help="draw tokens at this temperature (default 0: the likeliest token)")  # fmt: skip
    parser.add_argument("--new-tokens", type=int, default=NEW_TOKENS, metavar="N",
                        help=f"the most tokens of an answer (default {NEW_TOKENS})")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of drawn tokens (default 0)")
    parser.add_argument("--device", choices=DEVICES.names(), help="cpu or cuda (default: cuda if there is a card)")
    add_mirror(parser)
    parser.set_defaults(work=ask, next="python -m bench merge {kept[0]} merges the adapter into its base")


def ask(arguments: argparse.Namespace) -> int:
    check(arguments)
    folders = [find_kept(text) for text in arguments.kept]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise Mistake("a case is named twice; name each once")
    device = arguments.device or ("cuda" if cards() else "cpu")
    if why := missing(device):
        raise Mistake(f"--device {device}: {why}")
    from bench.worker.ask.model_bytes import refuse_lack_of_memory
    from bench.worker.ask.side_by_side import Sampling, load_panel, panel_bytes, source_answers
    from bench.worker.keep.loading import open_kept
    from bench.worker.quiet import quiet

    quiet()
    tuned = [open_kept(folder, mirror_of(arguments)) for folder in folders]
    with_base = not (arguments.vote and len(tuned) > 1)
    refuse_lack_of_memory(panel_bytes(tuned, with_base), free_bytes(device), device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of names that libraries change between themselves
        panel = load_panel(tuned, DEVICES[device].torch_name, with_base)
    sampling = Sampling(arguments.temperature, arguments.new_tokens, arguments.seed)
    examples = [Question(one.question, one.answer, one.where) for one in source_answers(tuned)]
    if arguments.examples and not examples:
        raise Mistake(f"--examples: no source prints questions for the task of {tuned[0].name}; ask with -q")
    given = [Question(text) for text in arguments.question]
    for question in given + (examples if arguments.examples else []) or typed_questions():
        if arguments.vote:
            vote(panel, question, sampling, votes_folder(folders))
        else:
            answer(panel, question, sampling)
    return 0


def check(arguments: argparse.Namespace) -> None:
    """Raises Mistake for numbers out of range, empty questions, and votes on other than two answers."""
    if not math.isfinite(arguments.temperature) or arguments.temperature < 0:
        raise Mistake(f"--temperature {arguments.temperature:g} must be 0 or above")
    if arguments.new_tokens < 1:
        raise Mistake(f"--new-tokens {arguments.new_tokens} must be at least 1")
    if any(not text.strip() for text in arguments.question):
        raise Mistake("-q: the question is empty")
    if arguments.vote and len(arguments.kept) > 2:
        raise Mistake(f"--vote compares two answers, not {len(arguments.kept)}; name one case, or two")


def typed_questions() -> Iterator[Question]:
    """Questions from standard input until it ends, or until an empty line at a terminal."""
    talking = sys.stdin.isatty()
    while True:
        if talking:
            show("question (empty to stop):", sys.stderr)
        line = sys.stdin.readline()
        if not line or (talking and not line.strip()):
            return
        if line.strip():
            yield Question(line.strip())


def answer(panel: Any, question: Question, sampling: Any) -> None:
    """Print the question, the answers as they grow, and how fast they came."""
    show_as_is(heading(question))
    before = ("actual", question.actual) if question.actual else None
    texts, speeds = stream(panel, question.text, sampling, panel.names, range(len(panel.names)), before)
    show_as_is("\n".join([*in_columns(*with_actual(panel.names, texts, before), terminal_width()), "", *speeds, ""]))


def heading(question: Question) -> str:
    return f"Q: {question.text}" + (f" ({question.where})" if question.where else "")


def with_actual(names: Iterable[str], texts: Iterable[str], before: tuple[str, str] | None) -> tuple[list, list]:
    """Titles and texts, the actual answer first."""
    title, text = before or ("", "")
    return ([title] if before else []) + list(names), ([text] if before else []) + list(texts)


def stream(panel: Any, question: str, sampling: Any, titles: Iterable[str], order: Iterable[int],
           before: tuple[str, str] | None = None) -> tuple[list[str], list[str]]:  # fmt: skip
    """Draw the columns in this order while they grow; the texts in that order, and a line on their speed."""
    from bench.worker.ask.side_by_side import answers

    texts, tokens, order = [""] * len(panel.names), [0] * len(panel.names), list(order)
    began, drawn = time.perf_counter(), 0
    first = 0.0
    with closing(answers(panel, question, sampling)) as pieces:
        for column, piece in pieces:
            first = first or time.perf_counter() - began
            texts[column] += piece
            tokens[column] += 1
            if sys.stdout.isatty():
                now = with_actual(titles, [texts[at] for at in order], before)
                drawn = redraw(in_columns(*now, terminal_width()), drawn)
    seconds = time.perf_counter() - began
    erase(drawn)
    counted = ", ".join(str(tokens[at]) for at in order)
    speed = f"{counted} tokens, {sum(tokens) / seconds:.1f} tokens/s in all, the first after {first:.1f} s"
    return [texts[at] for at in order], [speed]


def terminal_width() -> int:
    return shutil.get_terminal_size().columns


def redraw(lines: list[str], drawn: int) -> int:
    """Draw the last lines that fit over those drawn before; how many they are."""
    lines = lines[-max(1, shutil.get_terminal_size().lines - ROWS_KEPT_FREE) :]
    erase(drawn)
    print("\n".join(lines), flush=True)
    return len(lines)


def erase(lines: int) -> None:
    """Move up over these lines and clear everything below."""
    if lines:
        print(f"\x1b[{lines}F\x1b[J", end="")


def vote(panel: Any, question: Question, sampling: Any, folder: Path) -> None:
    """Show both answers under letters, ask which is better, store the vote and count all of them."""
    order = shuffle(random.Random())
    names = (panel.names[order[0]], panel.names[order[1]])
    show_as_is(heading(question))
    texts, _ = stream(panel, question.text, sampling, LETTERS, order)
    show_as_is("\n".join([*in_columns(LETTERS, texts, terminal_width()), ""]))
    chosen = read_choice()
    if chosen is None:
        raise Mistake("no vote was given, so none is stored")
    settings = sampling.temperature, sampling.new_tokens
    add_vote(folder, make_vote(question.text, names, (texts[0], texts[1]), chosen, *settings))
    show(f"A was {names[0]}, B was {names[1]}")
    votes, damaged = read_votes(folder)
    first, last = panel.names
    show(preference(votes, last, first, sampling.temperature, sampling.new_tokens).says)
    if damaged:
        show(f"{damaged} lines of {folder / 'votes.jsonl'} could not be read", sys.stderr)


def read_choice() -> str | None:
    """A, B or = from standard input; None if it ends first."""
    while True:
        show(f"which is better, {' or '.join(LETTERS)}? ({TIE} if neither)", sys.stderr)
        line = sys.stdin.readline()
        if not line:
            return None
        if (said := line.strip().upper()) in (*LETTERS, TIE):
            return said
