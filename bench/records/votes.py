"""Blind votes between two answers: one JSON line each in the run's folder, counted with an interval.

The person sees A and B in an order drawn at random, and learns after the vote which was which.
"""

import json
import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.core.registry import first_few
from bench.probes.scoring import share_interval
from bench.records.kept import run_of

FILE = "votes.jsonl"
LETTERS = ("A", "B")
TIE = "="  # neither is better


@dataclass(frozen=True)
class Vote:
    """One vote. shown: the names of A and B, which differ; preferred: one of them, empty for a tie."""

    time: str  # ISO 8601, UTC
    question: str
    shown: tuple[str, str]
    answers: tuple[str, str]
    preferred: str
    temperature: float
    new_tokens: int

    def __post_init__(self) -> None:
        if len(set(self.shown)) < len(self.shown):
            raise ValueError(f"shown={self.shown!r} must be two different names")
        if self.preferred and self.preferred not in self.shown:
            raise ValueError(f"preferred={self.preferred!r} must be one of {first_few(self.shown)}, or empty")


@dataclass(frozen=True)
class Preference:
    """How often one of two was preferred.

    ties are not counted in votes; left_out: votes on answers of another temperature or length.
    """

    name: str
    other: str
    preferred: int
    votes: int
    ties: int
    left_out: int = 0

    @property
    def says(self) -> str:
        ties = f"; {self.ties} ties are left out" if self.ties else ""
        if self.left_out:
            ties += f"; {self.left_out} votes with another --temperature or --new-tokens are left out"
        if not self.votes:
            return f"no vote yet between {self.name} and {self.other}{ties}"
        low, high = share_interval(self.preferred, self.votes)
        return (
            f"{self.name} was preferred to {self.other} in {self.preferred} of {self.votes} votes "
            f"({self.preferred / self.votes:.0%}, 95 % interval {low:.0%} to {high:.0%}){ties}"
        )


def shuffle(chance: random.Random) -> tuple[int, int]:
    """The numbers of the two columns, in the order in which they are shown."""
    first, second = chance.sample((0, 1), 2)
    return first, second


def votes_folder(folders: Iterable[Path]) -> Path:
    """The run that keeps the votes on these kept folders, whichever is named first."""
    return min(run_of(folder).resolve() for folder in folders)


def make_vote(
    question: str, shown: tuple[str, str], answers: tuple[str, str], choice: str, temperature: float, new_tokens: int
) -> Vote:
    """The vote of now. choice: the letter of the better answer, or TIE."""
    preferred = "" if choice == TIE else shown[LETTERS.index(choice)]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Vote(now, question, shown, answers, preferred, temperature, new_tokens)


def add_vote(folder: Path, vote: Vote) -> None:
    """Append the vote to the folder's file. Raises OSError if it cannot be written."""
    with (folder / FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(vote), ensure_ascii=False) + "\n")


def read_votes(folder: Path) -> tuple[list[Vote], int]:
    """The folder's votes, and how many lines could not be read."""
    path = folder / FILE
    votes, damaged = [], 0
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            values = json.loads(line)
            votes.append(Vote(**{**values, "shown": tuple(values["shown"]), "answers": tuple(values["answers"])}))
        except (ValueError, TypeError, KeyError):
            damaged += 1
    return votes, damaged


def preference(votes: Iterable[Vote], name: str, other: str, temperature: float, new_tokens: int) -> Preference:
    """How often name was preferred to other, in answers generated with these settings."""
    between = [vote for vote in votes if set(vote.shown) == {name, other}]
    alike = [vote for vote in between if (vote.temperature, vote.new_tokens) == (temperature, new_tokens)]
    ties = sum(not vote.preferred for vote in alike)
    preferred = sum(vote.preferred == name for vote in alike)
    return Preference(name, other, preferred, len(alike) - ties, ties, len(between) - len(alike))
