"""What models said: generated answers beside the actual ones, and answers to probes that training changed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.records.probe_results import ProbeResults
from bench.records.record import Record
from bench.records.stored import Stored
from bench.report.tables import Table

GENERATED = ("case", "prompt", "actual", "generated")
CHANGED = ("case", "probe", "language", "before", "said before", "after", "said after")
MOST_OF_CASE = 40  # rows of a case, so that a page of 100 cases stays small


@dataclass(frozen=True)
class Answers:
    """A table of texts, and a sentence on what it leaves out."""

    table: Table
    left_out: str = ""


def generated_answers(records: Iterable[Record]) -> Answers:
    """Each generated answer with its prompt and the actual answer; only the headings if no case generated any."""
    rows: list[list[str]] = []
    left_out = 0
    for record in records:
        found = record.tables.get("generated", [])
        left_out += len(found[MOST_OF_CASE:])
        rows += [[record.case, *(str(row[name]) for name in GENERATED[1:])] for row in found[:MOST_OF_CASE]]
    return Answers([list(GENERATED), *rows], cut_sentence(left_out))


def changed_answers(stored: Sequence[Stored]) -> Answers:
    """Answers to probes that were right before training and not after it, or the other way round."""
    rows: list[list[str]] = []
    left_out = 0
    for one in stored:
        if not ProbeResults(one.record).rows:
            continue
        changed = [row for row in one.probe_answers if row.get("before") != row.get("after") and "said_after" in row]
        left_out += len(changed[MOST_OF_CASE:])
        rows += [
            [one.record.case, *(str(row[key]) for key in (
                "family", "language", "before", "said_before", "after", "said_after"))]
            for row in changed[:MOST_OF_CASE]
        ]  # fmt: skip
    return Answers([list(CHANGED), *rows], cut_sentence(left_out))


def cut_sentence(count: int) -> str:
    return f"At most {MOST_OF_CASE} of each case are shown; {count:,} more are in its file." if count else ""
