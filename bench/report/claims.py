"""The scorecard: how many claims of each source came out how, and every verdict with its sentence."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.judge.claims.claim import Claim
from bench.judge.claims.simulation import Table as Simulated
from bench.judge.verdict import ERROR, OUTCOMES, Verdict
from bench.records.record import BadRecord
from bench.report.tables import markdown_lines, text_lines

FILE = "claims.json"  # in a run's folder: the verdicts of its session
SHOWN = ("id", "source", "kind", "verdict", "expected", "says", "sentence")  # keys of a stored verdict that pages show
SUMMARY = ("source", "claims")
HEADINGS = ("claim", "kind", "verdict", "what was seen")
INTRODUCTION = """# Claims and verdicts

Written by `python -m bench claims --markdown`; a test compares this page with what the command prints. A verdict on a
stand-in is one on the stand-in alone, and its sentence begins with it. `possible` confirms nothing: a bound is kept, or
a figure is inferred. `not_run` says what is missing.
"""


def summary(claims: Mapping[str, Claim], verdicts: Mapping[str, Verdict]) -> list[list[str]]:
    """The headings, and a line for each source and for its stand-ins, if any; errors are listed only if any exist."""
    groups: dict[str, Counter[str]] = {}
    for name, verdict in verdicts.items():
        claim = claims[name]
        label = f"{claim.source}, stand-ins" if claim.stand_in_for else claim.source
        groups.setdefault(label, Counter())[verdict.state] += 1
    everything: Counter[str] = sum(groups.values(), Counter())
    columns = (*OUTCOMES, ERROR) if everything[ERROR] else OUTCOMES
    lines = [*sorted(groups.items()), ("all", everything)]
    return [
        [*SUMMARY, *columns],
        *([label, str(states.total()), *count_cells(states, columns)] for label, states in lines),
    ]


def count_cells(states: Counter[str], columns: tuple[str, ...]) -> list[str]:
    return [str(states[state]) if states[state] else "" for state in columns]


def rows(claims: Mapping[str, Claim], verdicts: Mapping[str, Verdict]) -> list[list[str]]:
    """The headings, and a line for each claim."""
    return [
        list(HEADINGS),
        *(
            [name, claims[name].kind, verdict.state, f"{claims[name].says}. {verdict.says}"]
            for name, verdict in verdicts.items()
        ),
    ]


def as_text(claims: Mapping[str, Claim], verdicts: Mapping[str, Verdict]) -> str:
    found = rows(claims, verdicts)
    return "\n".join([*text_lines(summary(claims, verdicts), 1), "", *text_lines(found, len(HEADINGS))]) + "\n"


def as_markdown(claims: Mapping[str, Claim], verdicts: Mapping[str, Verdict]) -> str:
    """The page results/CLAIMS.md: the count, then a table for each source."""
    lines = [INTRODUCTION, *markdown_lines(summary(claims, verdicts), 1)]
    for source in dict.fromkeys(claims[name].source for name in verdicts):
        own = {name: verdict for name, verdict in verdicts.items() if claims[name].source == source}
        title = claims[next(iter(own))].title
        lines += ["", f"## {source}: {title}", "", *markdown_lines(rows(claims, own), len(HEADINGS))]
    return "\n".join(lines) + "\n"


def as_rows(claims: Mapping[str, Claim], verdicts: Mapping[str, Verdict]) -> list[dict[str, Any]]:
    """An object for each claim: its id, source, place, kind, what is expected, and the verdict."""
    return [
        {
            "id": name,
            "source": claims[name].source,
            "where": claims[name].where,
            "says": claims[name].says,
            "kind": claims[name].kind,
            "stand_in_for": claims[name].stand_in_for or None,
            "expected": claims[name].expected,
            "verdict": verdict.state,
            "sentence": verdict.says,
            "records": list(verdict.records),
        }
        for name, verdict in verdicts.items()
    ]


def as_json(claims: Mapping[str, Claim], verdicts: Mapping[str, Verdict]) -> str:
    return json.dumps(as_rows(claims, verdicts), indent=1, ensure_ascii=False)


def read_verdicts(folder: Path) -> list[dict[str, Any]]:
    """The verdicts that a session stored with its run; [] if none. Raises BadRecord if the file is damaged."""
    try:
        rows = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return [{**row, **{key: str(row[key]) for key in SHOWN}} for row in rows]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, KeyError) as error:
        raise BadRecord(f"{folder / FILE}: damaged ({error}); delete it") from None


STATISTICS = """# What the statistics hold

Written by `python -m bench claims --simulate`, from made-up data whose truth is known, by the functions that judge
claims. A share is of {runs} runs, of quotients of {ratios}, of families of 500 and of falling losses of 300. Where the
true share is 5 %, the standard error of what is printed is 0.5, 0.7, 1.0 and 1.3 percentage points. Several shares of
confirmed and refuted claims stand above their nominal 5 %, by up to 2.5 standard errors (7.3 % of falling losses with
20 steps and one seed is 1.8): among so many shares, noise alone does as much.
"""


def as_statistics(tables: Iterable[Simulated], runs: int, ratios: int) -> str:
    """The page results/STATISTICS.md: a section for each table."""
    lines = [STATISTICS.format(runs=runs, ratios=ratios)]
    for table in tables:
        lines += [f"## {table.title}", "", table.says, "", *markdown_lines([table.headings, *table.rows], 1), ""]
    return "\n".join(lines)
