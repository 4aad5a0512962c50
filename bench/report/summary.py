"""The summary of a session in Markdown, for a run's folder and for CI: failures first, then all cases in a table.

It is complete for a reader who has only this page: the verdict on each case, how many tests ran, with which libraries
on which machine, and the commands that repeat the session.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.core.outside_text import for_markdown, for_terminal
from bench.judge.thresholds import Thresholds
from bench.machine.environment import machine_words
from bench.records.record import Record
from bench.report.cases import NAMES_WITH_TESTS, table_of
from bench.report.tables import markdown_lines
from bench.report.verdicts import CaseVerdict

MOST_NAMED = 5  # failed cases that a command names; more are repeated by the whole command


@dataclass(frozen=True)
class Beside:
    """What else in a session decides how it ended.

    failed: ids of failed tests that belong to no case; unrun: selected cases without a record; ended: how the session
    ended, if neither with a pass nor with failed tests.
    """

    failed: Sequence[str] = ()
    unrun: Sequence[str] = ()
    ended: str = ""


NOTHING_BESIDE = Beside()


def summary_page(
    records: Iterable[Record],
    thresholds: Thresholds,
    tests: Mapping[str, CaseVerdict],
    words: Sequence[str],
    run_name: str = "",
    beside: Beside = NOTHING_BESIDE,
) -> str:
    """The page. tests: by case id, of this session; words: the command that began it; run_name: where it is stored."""
    records = sorted(records, key=lambda record: is_good(record, tests))  # stable: failures first
    verdicts = {name: one.sentence() for name, one in tests.items()}
    table = markdown_lines(table_of(records, thresholds, verdicts), NAMES_WITH_TESTS)
    failed = [record.case for record in records if not is_good(record, tests)]
    lines = [
        f"## {headline(records, tests, beside)}",
        "",
        f"{counts(tests.values())}. {for_markdown(environment_text(records))}.",
        "",
        *[f"- failed: {code(test)}" for test in beside.failed],
        *[f"- {says}: {code(shlex.join(command))}" for says, command in commands(words, failed, run_name)],
        "",
        *table,
    ]
    return "\n".join(lines) + "\n"


def environment_text(records: Iterable[Record]) -> str:
    """Libraries and machine of the records, several if they differ, and where the weights of each model are from."""
    records = [record for record in records if record.environment]
    machines = dict.fromkeys(machine_words(record.environment) for record in records)
    weights = dict.fromkeys(
        f"{record.parsed_case().model} ({record.weights['origin']})" for record in records if record.weights
    )
    return ", and ".join(machines) + (f"; weights of {', '.join(weights)}" if weights else "")


def is_good(record: Record, tests: Mapping[str, CaseVerdict]) -> bool:
    """Whether the case ended well and no test of it failed; a case that this session did not judge may be good."""
    return record.ok and (record.case not in tests or not tests[record.case].failed)


def headline(records: Sequence[Record], tests: Mapping[str, CaseVerdict], beside: Beside) -> str:
    """How many cases failed or passed, and what else keeps the session from being a pass."""
    failed = sum(not is_good(record, tests) for record in records)
    passed = sum(
        is_good(record, tests) and record.case in tests and tests[record.case].passed > 0 for record in records
    )
    cases, unjudged = len(records) + len(beside.unrun), len(records) - failed - passed
    of = f"{cases} case{'s' if cases != 1 else ''}"
    said = [f"{failed} of {of} failed" if failed else f"{of if passed == cases else f'{passed} of {of}'} passed"]
    said += [f"{unjudged} not judged"] * bool(unjudged)
    said += [f"{len(beside.unrun)} not run"] * bool(beside.unrun)
    said += [f"{len(beside.failed)} other test{'s' * (len(beside.failed) != 1)} failed"] * bool(beside.failed)
    return ", ".join(said) + (f"; {beside.ended}" if beside.ended else "")


def counts(tests: Iterable[CaseVerdict]) -> str:
    """How many tests of cases passed, failed and were skipped."""
    every = list(tests)
    passed, failed = sum(one.passed for one in every), sum(len(one.failed) for one in every)
    return f"{passed} tests passed, {failed} failed, {sum(one.skipped for one in every)} skipped"


def commands(words: Sequence[str], failed: Sequence[str], run_name: str) -> list[tuple[str, list[str]]]:
    """The purpose of each command, and its words."""
    found = [("repeat it", list(words))]
    if failed and len(failed) <= MOST_NAMED and "-k" not in words:
        found.append(("repeat what failed", [*words, "-k", " or ".join(failed)]))
    if run_name:
        suites = ["lorabench", "test"] if words[:1] == ["lorabench"] else ["pytest", "suites"]
        found.append(("judge it again without running anything", [*suites, "--replay", run_name]))
    return found


def code(text: str) -> str:
    """Text as code in Markdown; escaped as HTML where it would end a span of code or begin a tag."""
    return f"<code>{for_markdown(text)}</code>" if set(text) & set("`<") else f"`{for_terminal(text)}`"
