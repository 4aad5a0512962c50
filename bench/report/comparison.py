"""A comparison of two runs as text, Markdown, JSON and JUnit: worse figures first, equal ones folded."""

import json
import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from xml.etree import ElementTree

from bench.core.case import parse_case
from bench.core.outside_text import for_markdown, for_terminal
from bench.judge.compare.finding import (
    INCOMPARABLE,
    INCONCLUSIVE,
    KINDS,
    RED,
    SAME,
    STATES,
    STATUS,
    Finding,
    is_other_test,
    worst_state,
)
from bench.judge.compare.fresh import OWN_ENGINE
from bench.judge.compare.runs import Comparison
from bench.records.record import Record

HEADINGS = ("state", "case", "figure", "before", "after", "why")
WIDTH = 13  # of the longest state and a space


def in_order(findings: Collection[Finding]) -> list[Finding]:
    """All findings that are not the same, the most serious first."""
    return sorted((one for one in findings if one.state != SAME), key=lambda one: STATES.index(one.state))


def counts(comparison: Comparison) -> str:
    """One line: the number of cases in each state, by their worst figure, and the same of tests without a case.

    A finding over all seeds counts for each seed.
    """
    by_case: dict[str, list[Finding]] = {}
    for one in comparison.findings:
        by_case.setdefault(one.case, []).append(one)
    cases = {one.case for one in comparison.findings if one.kind == STATUS}
    others = [one.state for one in comparison.findings if is_other_test(one)]
    of_cases = [worst_state([*by_case[case], *by_case.get(without_seed(case), [])]) for case in cases]
    said = [count_states(of_cases, "case") if cases else "no case"]
    said += [count_states(others, "other test")] * bool(others)
    return "; ".join(said)


def count_states(states: Collection[str], word: str) -> str:
    """3 cases: 1 worse, 2 same."""
    number = Counter(states)
    said = ", ".join(f"{number[state]} {state}" for state in STATES if number[state])
    return f"{len(states)} {word}{'s' * (len(states) != 1)}: {said}"


def without_seed(case: str) -> str:
    """The name used for a finding over several seeds of the case."""
    return case.rsplit("-", 1)[0]


def versions(comparison: Comparison) -> list[str]:
    """The distributions that differ."""
    return [f"{name} {old} → {new}" for name, (old, new) in comparison.versions().items()]


def notes(comparison: Comparison) -> Iterator[str]:
    """What a reader must know about either side."""
    for side in (comparison.before, comparison.after):
        if any(record.environment.get("dirty") for record in side.records.values()):
            yield f"{side.name} was run from a checkout with changes that are in no commit"


def repeats(comparison: Comparison) -> list[str]:
    """Commands that run the red cases again."""
    red = dict.fromkeys(one.case for one in in_order(comparison.findings) if one.state in RED)
    return list(dict.fromkeys(repeat(case, comparison.before.records) for case in red))


def repeat(name: str, records: Mapping[str, Record]) -> str:
    """The command for a case, for all seeds of one, or for a test without a case."""
    if "::" in name:
        return f"pytest {shlex.quote(name)}"
    known = records.get(name) or next((one for case, one in records.items() if case.startswith(f"{name}-")), None)
    case = known.parsed_case() if known else parse_case(name)
    seeds = sorted(one.parsed_case().seed for key, one in records.items() if key == name or key.startswith(f"{name}-"))
    words = f"--tasks {case.task} --models {case.model} --methods {case.method} --devices {case.device}"
    more = f" --seeds {','.join(map(str, seeds))}" if seeds not in ([], [0]) else ""
    recipe = known.recipe if known else {}
    engine = f" --engine {recipe['engine']}" if recipe.get("engine", OWN_ENGINE) != OWN_ENGINE else ""
    steps = f" --max-steps {recipe['max_steps']}" if recipe.get("max_steps") else ""
    return f"pytest suites {words}{more}{engine}{steps}"


def why(finding: Finding) -> str:
    suspect = f"suspect: {finding.suspect}" if finding.suspect else ""
    return "; ".join(filter(None, (finding.says, suspect)))


def text_lines(comparison: Comparison) -> list[str]:
    """For a terminal."""
    lines = [f"{comparison.before.name} → {comparison.after.name}", counts(comparison)]
    lines += [f"  {one}" for one in versions(comparison)]
    lines += list(notes(comparison))
    for one in in_order(comparison.findings):
        values = f"  {one.before} → {one.after}" if one.before or one.after else ""
        lines.append(f"{one.state:{WIDTH}}{one.case}  {one.figure or one.kind}{values}")
        lines += [" " * WIDTH + part for part in (one.says, one.suspect and f"suspect: {one.suspect}") if part]
    lines += [f"repeat it with: {command}" for command in repeats(comparison)]
    return [for_terminal(line) for line in lines]


def markdown(comparison: Comparison) -> str:
    """For a CI summary: counts, versions, what differs, and what is folded."""
    lines = [
        f"**{for_markdown(comparison.before.name)} → {for_markdown(comparison.after.name)}**: {counts(comparison)}"
    ]
    if changed := versions(comparison):
        lines += ["", "Versions that differ: " + ", ".join(map(for_markdown, changed))]
    lines += [f"\n{for_markdown(note)}" for note in notes(comparison)]
    if found := in_order(comparison.findings):
        rows = [(one.state, one.case, one.figure or one.kind, one.before, one.after, why(one)) for one in found]
        lines += ["", *(table_line(row) for row in (HEADINGS, ("---",) * len(HEADINGS)))]
        lines += [table_line([for_markdown(cell) for cell in row]) for row in rows]
    if again := repeats(comparison):
        lines += ["", "To repeat what is worse:", "", "```console", *(f"$ {command}" for command in again), "```"]
    same = [one for one in comparison.findings if one.state == SAME]
    if same:
        kinds = Counter(one.kind for one in same)
        said = ", ".join(f"{kind} of {kinds[kind]}" for kind in KINDS if kinds[kind])
        lines += ["", f"<details><summary>The same</summary>\n\n{said}\n\n</details>"]
    return "\n".join(lines) + "\n"


def table_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def as_json(comparison: Comparison, code: int) -> str:
    return json.dumps(
        {
            "before": comparison.before.name,
            "after": comparison.after.name,
            "exit_code": code,
            "versions": comparison.versions(),
            "findings": [asdict(one) for one in comparison.findings],
        },
        ensure_ascii=False,
        indent=1,
    )


def as_junit(comparison: Comparison, red: Collection[str]) -> str:
    """A test case for each case and kind of figure; red ones fail, undecided ones are skipped."""
    suite = ElementTree.Element("testsuite", name="lorabench compare")
    by_test: dict[tuple[str, str], list[Finding]] = {}
    for one in comparison.findings:
        by_test.setdefault((one.case, one.kind), []).append(one)
    failures = skipped = 0
    for (case, kind), found in by_test.items():
        element = ElementTree.SubElement(suite, "testcase", classname=f"compare.{kind}", name=f"{case}-{kind}")
        bad = [one for one in found if one.state in red]
        unsure = [one for one in found if one.state in (INCONCLUSIVE, INCOMPARABLE)]
        chosen = bad or unsure
        if chosen:
            said = for_terminal("; ".join(one.sentence() for one in chosen))
            ElementTree.SubElement(element, "failure" if bad else "skipped", message=said)
        failures, skipped = failures + bool(bad), skipped + bool(not bad and unsure)
    suite.attrib.update({"tests": str(len(by_test)), "failures": str(failures), "skipped": str(skipped), "errors": "0"})
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
