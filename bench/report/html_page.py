"""A run as one HTML page that needs nothing else: tables, charts, claims, and what the gate says of another run.

It opens from a file, for example a CI artifact, and asks for nothing from anywhere. Records hold text from data,
models and other people's machines: it is escaped everywhere, and a content security policy refuses every script but
the page's own.
"""

import json
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench import __version__
from bench.core.outside_text import lines_for_terminal
from bench.judge.compare.finding import SAME
from bench.judge.compare.runs import Comparison
from bench.judge.thresholds import Thresholds
from bench.records.record import Record
from bench.records.stored import Stored
from bench.report.answers import Answers, changed_answers, generated_answers
from bench.report.cases import NAMES, NAMES_WITH_TESTS, table_of
from bench.report.charts.chart import Chart
from bench.report.charts.confusions import confusion_charts
from bench.report.charts.losses import loss_charts
from bench.report.charts.phase_memory import phase_memory_charts
from bench.report.charts.probes import probe_charts
from bench.report.charts.quality_memory import quality_charts
from bench.report.charts.seconds import seconds_chart
from bench.report.charts.step_memory import step_memory_charts
from bench.report.comparison import HEADINGS, counts, in_order, notes, repeats, versions, why
from bench.report.summary import counts as counts_of_tests
from bench.report.surroundings import libraries_table, surroundings_table
from bench.report.tables import Table
from bench.report.verdicts import CaseVerdict

TEMPLATES = Path(__file__).parent / "template"
NEEDED = ("jinja2", "plotly")  # packages of the extra
CLAIM_KEYS = ("id", "source", "kind", "verdict", "expected")
CLAIMS = ("claim", "source", "kind", "verdict", "expected", "what was seen")
FEW_CHARTS = 2  # a section is folded charts of one section: with more it is folded, for it would be long
# Where a browser may get what from. plotly adds style elements and attributes without a nonce, and turns a chart into a
# picture to be saved (img-src). It needs no 'unsafe-eval' for these charts.
POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)


class NotInstalled(RuntimeError):
    """A package that pages need is missing; the message names the extra."""


def require_packages() -> None:
    """Raise NotInstalled if plotly or jinja2 is missing."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise NotInstalled(f'a report needs {" and ".join(missing)}; pip install "lorabench[report]"')


@dataclass(frozen=True)
class Contents:
    """What a page shows.

    name: of the run; stored: its records; tests: verdicts by case id; about: its run.json; claims: verdicts as
    bench.report.claims.as_rows gives them; judged: where they come from; comparison: with another run, if one is given.
    """

    name: str
    stored: Sequence[Stored]
    thresholds: Thresholds
    tests: Mapping[str, CaseVerdict] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    claims: Sequence[Mapping[str, Any]] = ()
    judged: str = ""
    comparison: Comparison | None = None

    @cached_property
    def records(self) -> list[Record]:
        return [one.record for one in self.stored]


@dataclass(frozen=True)
class Section:
    """A part of the page. folded: all but the first of its charts open on request; answers: tables of texts."""

    name: str
    title: str
    charts: Sequence[Chart] = ()
    folded: bool = False
    answers: Mapping[str, Answers] = field(default_factory=dict)


def html_page(contents: Contents) -> str:
    """The page's text. Raises NotInstalled."""
    require_packages()
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    def shown(value: object) -> object:
        """Hidden characters spelled out in all text that the template shows; it is escaped as HTML after that."""
        return lines_for_terminal(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, finalize=shown,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    nonce = secrets.token_urlsafe(16)
    records = contents.records
    tests = contents.tests
    return environment.get_template("report.html").render(
        nonce=nonce,
        policy=POLICY.format(nonce=nonce),
        version=__version__,
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        name=contents.name,
        headline=headline(records, tests),
        cases=table_of(records, contents.thresholds, {name: one.sentence() for name, one in tests.items()} or None),
        case_names=NAMES_WITH_TESTS if tests else NAMES,
        broken=[record for record in records if not record.ok],
        sections=[one for one in sections(contents) if one.charts or one.answers],
        comparison=comparison_values(contents.comparison) if contents.comparison else None,
        claims=claims_table(contents.claims),
        claims_counts=claims_counts(contents.claims),
        judged=contents.judged,
        surroundings=surroundings_table(records, contents.about),
        libraries=libraries_table(records, contents.about),
        styles=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        script=Markup((TEMPLATES / "report.js").read_text(encoding="utf-8")),
        plotly=Markup(get_plotlyjs()),
        data_of=lambda chart: Markup(for_script({"figure": chart.figure, "narrow": chart.narrow})),
    )  # fmt: skip


def headline(records: Sequence[Record], tests: Mapping[str, CaseVerdict]) -> str:
    """How the cases ended, and their tests."""
    if not records:
        return "no case was run"
    states = Counter(record.status.replace("_", " ") for record in records)
    cases = f"{len(records)} case{'s' * (len(records) != 1)}: " + ", ".join(
        f"{count} {state}" for state, count in states.items()
    )
    return f"{cases}; {counts_of_tests(tests.values())}" if tests else cases


def sections(contents: Contents) -> list[Section]:
    """The parts with charts or texts, empty ones too."""
    records = contents.records
    ended = [record for record in records if record.ok]
    stored = [one for one in contents.stored if one.record.ok]
    texts = {
        "Generated answers beside the actual ones": generated_answers(ended),
        "Answers to probes that training changed": changed_answers(stored),
    }
    confusions, probes = confusion_charts(ended), probe_charts(ended)
    return [
        Section("quality", "Quality against memory", quality_charts(ended)),
        Section("losses", "Training losses", loss_charts(records)),
        Section("memory", "Memory", [*step_memory_charts(stored), *phase_memory_charts(ended)]),
        Section("seconds", "Step time", seconds_chart(ended)),
        Section("probes", "Probes before and after training", probes, len(probes) > FEW_CHARTS),
        Section("confusions", "Confusion matrices", confusions, len(confusions) > FEW_CHARTS),
        Section("answers", "Answers", answers={title: one for title, one in texts.items() if one.table[1:]}),
    ]


def comparison_values(comparison: Comparison) -> dict[str, Any]:
    """What the gate says of two runs, as bench.report.comparison words it."""
    found = in_order(comparison.findings)
    same = Counter(one.kind for one in comparison.findings if one.state == SAME)
    return {
        "names": f"{comparison.before.name} → {comparison.after.name}",
        "counts": counts(comparison),
        "versions": versions(comparison),
        "notes": list(notes(comparison)),
        "repeats": repeats(comparison),
        "same": ", ".join(f"{kind} of {count}" for kind, count in same.items()),
        "table": [
            list(HEADINGS),
            *([one.state, one.case, one.figure or one.kind, one.before, one.after, why(one)] for one in found),
        ],
    }


def claims_table(claims: Sequence[Mapping[str, Any]]) -> Table:
    rows = [[*(str(one[key]) for key in CLAIM_KEYS), f"{one['says']}. {one['sentence']}"] for one in claims]
    return [list(CLAIMS), *rows]


def claims_counts(claims: Sequence[Mapping[str, Any]]) -> str:
    states = Counter(str(one["verdict"]) for one in claims)
    return f"{len(claims)} claims: " + ", ".join(f"{count} {state}" for state, count in states.items())


def for_script(value: object) -> str:
    """JSON inside a script element: no character of it can end the element or begin another."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)  # ASCII: hidden characters are escaped too
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
