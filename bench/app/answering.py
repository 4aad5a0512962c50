"""Answers to one question: generated while the page shows them, drawn again by later runs of the page, voted on."""

import random
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

from bench.app.asking import Asking, Sampling
from bench.app.served import served
from bench.app.showing import escape_markdown, refuse, text
from bench.core.outside_text import lines_for_terminal
from bench.core.paths import is_inside
from bench.records.votes import FILE as VOTES
from bench.records.votes import LETTERS, TIE, add_vote, make_vote, preference, read_votes, shuffle, votes_folder

ACTUAL = "actual"
NEITHER = "Neither"
VOTES_ELSEWHERE = f"There is no vote: the run's {VOTES} does not lie below the folder of runs."


@dataclass
class Answer:
    """The answers to one question so far. columns: the loaded columns in the order in which they are shown.

    blind: the columns are shown under letters until the person has voted for one (vote).
    """

    question: str
    sampling: Sampling
    folders: tuple[Path, ...]
    blind: bool = False
    actual: str = ""
    where: str = ""
    names: tuple[str, ...] = ()
    batches: tuple[int, ...] = ()
    columns: tuple[int, ...] = ()
    texts: list[str] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    first_seconds: float = 0.0
    seconds: float = 0.0
    ended: bool = False
    vote: str | None = None

    def begin(self, names: Sequence[str], batches: Sequence[int]) -> None:
        self.names, self.batches = tuple(names), tuple(batches)
        self.columns = shuffle(random.Random()) if self.blind else tuple(range(len(names)))
        self.texts, self.tokens = [""] * len(names), [0] * len(names)

    def add(self, pieces: Sequence[tuple[int, str]], seconds: float) -> None:
        """Take new tokens, that many seconds after the question."""
        for column, piece in pieces:
            self.texts[column] += piece
            self.tokens[column] += 1
        self.first_seconds = self.first_seconds or seconds
        self.seconds = seconds

    @property
    def shown(self) -> list[tuple[str, str]]:
        """(title, text) from left to right; the actual answer first, which a blind vote does without."""
        if self.blind:
            return [(letter, self.texts[column]) for letter, column in zip(LETTERS, self.columns, strict=True)]
        before = [(ACTUAL, self.actual)] if self.actual else []
        return before + [(self.names[column], self.texts[column]) for column in self.columns]

    @property
    def speed(self) -> str:
        counted = ", ".join(str(self.tokens[column]) for column in self.columns)
        together = "in one batch" if len(self.batches) == 1 else "in turns"
        rate = sum(self.tokens) / self.seconds if self.seconds else 0.0
        stopped = "" if self.ended else "; stopped"
        first = f"the first after {self.first_seconds:.1f} s"
        return f"{counted} tokens {together}, {rate:.1f} tokens/s in all, {first}{stopped}"


def generate(answer: Answer, asking: Asking, with_base: bool) -> None:
    """Load the models, and draw the answers as they grow.

    Streamlit ends this run of the page in one of its calls when the page is closed, or when the person presses
    anything, as Stop. The worker is then not read any more, so it generates no more.
    """
    with asking.turn():
        with st.spinner("Loading the models; the first time takes a minute"):
            loaded = asking.load(answer.folders, with_base)
        answer.begin(loaded.names, loaded.batches)
        stop, boxes = st.empty(), draw(answer)
        stop.button("Stop", key="stop")
        began = time.perf_counter()
        with closing(asking.pieces(answer.question, answer.sampling)) as pieces:
            for some in pieces:
                answer.add(some, time.perf_counter() - began)
                redraw(answer, boxes)
        answer.ended = True
        stop.empty()


def draw(answer: Answer) -> list[Any]:
    """A column for each answer; the boxes with the texts, from left to right."""
    if answer.where:
        st.caption(escape_markdown(answer.where))
    boxes = []
    for (title, said), column in zip(answer.shown, st.columns(len(answer.shown), border=True), strict=True):
        column.markdown(f"**{escape_markdown(title)}**")
        boxes.append(column.empty())
        boxes[-1].text(lines_for_terminal(said) or "…")
    return boxes


def redraw(answer: Answer, boxes: Sequence[Any]) -> None:
    for (_, said), box in zip(answer.shown, boxes, strict=True):
        box.text(lines_for_terminal(said) or "…")


def show_end(answer: Answer) -> None:
    """How fast the answers came, or the vote on them."""
    if not answer.names:
        return
    if not answer.blind:
        st.caption(escape_markdown(answer.speed))
    elif not is_inside(votes_folder(answer.folders) / VOTES, served().folders):
        refuse(VOTES_ELSEWHERE)
    elif answer.vote is not None:
        show_vote(answer)
    elif answer.ended:
        take_vote(answer)
    else:
        st.caption("Stopped, so there is no vote.")


def take_vote(answer: Answer) -> None:
    """Ask which answer is better, and store the vote with the run."""
    st.markdown("Which answer is better?")
    choices = dict(zip((*LETTERS, NEITHER), (*LETTERS, TIE), strict=True))
    for (label, choice), column in zip(choices.items(), st.columns(len(choices)), strict=True):
        if column.button(label, key=f"vote-{choice}", width="stretch"):
            store_vote(answer, choice)
            st.rerun()


def store_vote(answer: Answer, choice: str) -> None:
    names = answer.names[answer.columns[0]], answer.names[answer.columns[1]]
    texts = answer.texts[answer.columns[0]], answer.texts[answer.columns[1]]
    settings = answer.sampling.temperature, answer.sampling.new_tokens
    add_vote(votes_folder(answer.folders), make_vote(answer.question, names, texts, choice, *settings))
    answer.vote = choice


def show_vote(answer: Answer) -> None:
    """Which answer was whose, and all votes between the two with these settings."""
    named = zip(LETTERS, (answer.names[column] for column in answer.columns), strict=True)
    text(", ".join(f"{letter} was {name}" for letter, name in named))
    votes, damaged = read_votes(votes_folder(answer.folders))
    first, last = answer.names
    settings = answer.sampling.temperature, answer.sampling.new_tokens
    text(preference(votes, last, first, *settings).says)
    if damaged:
        text(f"{damaged} lines of votes.jsonl could not be read")
