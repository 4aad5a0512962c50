"""The page results/COMPATIBILITY.md: which releases of the libraries work together, and what breaks.

Cells in which the same figures of the same cases are worse share one number, so that a release that breaks with every
partner is described once.
"""

import textwrap
from collections.abc import Iterable, Mapping, Sequence

from packaging.version import Version

from bench.core.outside_text import for_markdown
from bench.judge.compare.finding import STATUS, TESTS, Finding
from bench.judge.known_faults import KnownFault, read_known_faults
from bench.report.tables import markdown_lines
from bench.upgrade.compatibility import BREAKS, CONFLICT, OPEN, UNDECIDED, WORKS, Cell, Table

INTRODUCTION = """\
# Which releases work together

Each cell of the tables stands for a set of releases. The same {cases} cases were run with these releases and with
today's packages, and every case was compared: whether it runs, its tests, its parameters, FLOPs, bytes, losses and
quality, and the evidence that an adapter merges, comes back from disk, and generates what it reads. The tests of
{suites} judged every run. A set **works** if nothing is worse. The cases train for a few steps on one processor, so a
set that works may still have faults that [the comparison](../docs/upgrades.md#what-counts-as-worse) cannot see.

```console
$ {command}
```
"""
NOT_TESTED = (
    "**Not tested: what the libraries do by themselves.** `suites/{file}` tests their own losses, Trainer, loaders and "
    "checkpoints, and did not judge these runs. A set that works here may fail there."
)
KNOWN = "Of the releases in the tables, these have a fault that is known and that today's packages do not have:"
MADE = (
    "Made on {date} with torch {torch} and Python {python} on {processor} ({kind}), by code with the hash `{code}`. "
    "Today's packages are {today}. pip changes another package only if these releases require it; what lorabench "
    "requires is set aside."
)
ALONE = "A release without a partner stands for all of its sets in the tables."
WIDTH = 120
LIBRARIES = "test_libraries.py"
Fault = frozenset[tuple[str, str, str]]  # (case, kind, figure) of everything that is worse in a cell


def page(table: Table) -> str:
    """The whole page."""
    about = {name: for_markdown(str(value)) for name, value in table.about.items()}
    today = ", ".join(f"{name} {version}" for name, version in table.today.items())
    faults = list(dict.fromkeys(fault_of(cell) for cell in table.cells if cell.state == BREAKS))
    parts = [
        introduction(table),
        *not_tested(table),
        fill(MADE.format(**about, date=table.date, today=today)) + "\n",
        *grids(table, faults),
        *section("What breaks", [line for fault in faults for line in fault_lines(fault, faults, table.cells)]),
        *section("What is not decided", reasons(table.cells, UNDECIDED)),
        *section("What cannot be installed together", reasons(table.cells, CONFLICT)),
        *section("What was not run", reasons(table.cells, OPEN)),
        *section("What changes and is not worse", changes(table.cells)),
        *section("What else pip changes", companions(table.cells)),
        *section("Tests that fail with today's packages", [f"- `{test}`" for test in table.failing]),
        *section("The cases", [f"`{'`, `'.join(table.cases)}`"]),
    ]
    return "\n".join(parts)


def introduction(table: Table) -> str:
    """What a cell means, what judged it, and the command; lines of text are filled, the command is not."""
    text = INTRODUCTION.format(cases=len(table.cases), command=table.command, suites=list_names(table.suites))
    heading, prose, command = text.split("\n\n")
    return "\n\n".join((heading, fill(prose), command))


def list_names(names: Sequence[str]) -> str:
    """`a`, `b` and `c`."""
    *most, last = [f"`{name}`" for name in names]
    return f"{', '.join(most)} and {last}" if most else last


def not_tested(table: Table) -> list[str]:
    """That the libraries' own ways were not tested, with the faults that are known; none if they were."""
    if LIBRARIES in table.suites:
        return []
    lines = [
        f"- {fault.library} {', '.join(releases)}: {for_markdown(fault.says)} "
        f"({list_names(sorted({one.partition('::')[2].partition('[')[0] for one in fault.tests}))})"
        for fault in read_known_faults()
        if not fault.applies_to(table.today) and (releases := releases_with(fault, table.cells))
    ]
    known = [KNOWN + "\n", "\n".join(fill(line, "  ") for line in lines) + "\n"] if lines else []
    return [fill(NOT_TESTED.format(file=LIBRARIES)) + "\n", *known]


def releases_with(fault: KnownFault, cells: Sequence[Cell]) -> list[str]:
    """The releases in the tables that have the fault, the newest first."""
    return newest_first(cell.packages[fault.library] for cell in cells if fault.applies_to(cell.packages))


def fill(text: str, indent: str = "") -> str:
    """The text in lines of WIDTH; indent: of every line but the first."""
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def section(title: str, lines: Sequence[str]) -> list[str]:
    """A section with its lines; none if there are no lines."""
    return [f"## {title}\n", "\n".join(lines).rstrip("\n") + "\n"] if lines else []


def grids(table: Table, faults: Sequence[Fault]) -> list[str]:
    """A table for the pairs, and one for each package whose releases were tried alone."""
    parts = []
    for group in sorted({tuple(cell.packages) for cell in table.cells}, key=lambda group: (-len(group), group)):
        words = {
            tuple(cell.packages.values()): describe_cell(cell, table.today, faults)
            for cell in table.cells if tuple(cell.packages) == group
        }  # fmt: skip
        rows = newest_first(versions[0] for versions in words)
        columns = newest_first(versions[1] for versions in words) if len(group) > 1 else []
        if columns:
            head = [f"{group[1]} {version}" for version in columns]
            body = [[row, *(words.get((row, column), "–") for column in columns)] for row in rows]
        else:
            head, body = ["with today's other packages"], [[row, words[(row,)]] for row in rows]
        title = f"## {' with '.join(group)}\n"
        parts += [title, "\n".join(markdown_lines([[group[0], *head], *body], len(head) + 1)) + "\n"]
    return parts


def newest_first(versions: Iterable[str]) -> list[str]:
    return sorted(set(versions), key=Version, reverse=True)


def describe_cell(cell: Cell, today: Mapping[str, str], faults: Sequence[Fault]) -> str:
    """A cell in a few words: works, or the methods that break and the number of the paragraph about them."""
    if cell.state == BREAKS:
        return f"breaks {', '.join(sorted({method_of(one) for one in cell.red}))} ({faults.index(fault_of(cell)) + 1})"
    is_today = all(today.get(name) == version for name, version in cell.packages.items())
    return "today's packages" if is_today and cell.state == WORKS else cell.state


def method_of(finding: Finding) -> str:
    """The method of a finding's case, whose id may lack its seed; for a test without a case, its name in words."""
    if "::" in finding.case:
        return finding.case.partition("::")[2].partition("[")[0].removeprefix("test_").replace("_", " ")
    return finding.case.split("-")[2]


def fault_of(cell: Cell) -> Fault:
    return frozenset((one.case, one.kind, one.figure) for one in cell.red)


def fault_lines(fault: Fault, faults: Sequence[Fault], cells: Sequence[Cell]) -> list[str]:
    """What is worse in the cells of one number, case by case; the values are those of the first."""
    found = [cell for cell in cells if cell.state == BREAKS and fault_of(cell) == fault]
    by_case: dict[str, list[Finding]] = {}
    for one in found[0].red:
        by_case.setdefault(one.case, []).append(one)
    lines = [f"**{faults.index(fault) + 1}.** {'; '.join(name_sets(found, cells))}:", ""]
    lines += [f"- `{case}`: {for_markdown('; '.join(map(describe_finding, ones)))}" for case, ones in by_case.items()]
    suspects = dict.fromkeys(one.suspect for one in found[0].red if one.suspect)
    lines += [f"- suspect: {for_markdown(one)}" for one in suspects]
    return [*lines, ""]


def name_of(cell: Cell) -> str:
    """transformers 5.24.0 with peft 0.21.2."""
    return " with ".join(f"{name} {version}" for name, version in cell.packages.items())


def describe_finding(finding: Finding) -> str:
    """What is worse in one figure."""
    if finding.kind in (STATUS, TESTS):
        return f"{finding.after} ({finding.says})" if finding.after else finding.says
    values = f"{finding.before} → {finding.after}" if finding.before or finding.after else finding.says
    return f"{finding.figure or finding.kind} {values}"


def reasons(cells: Sequence[Cell], state: str) -> list[str]:
    """The reasons why cells are in this state, each with its cells."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.state == state:
            found.setdefault(cell.why, []).append(cell)
    return [f"- {'; '.join(map(name_of, ones))}: {for_markdown(why)}" for why, ones in found.items()]


def changes(cells: Sequence[Cell]) -> list[str]:
    """For each group of releases, the figures and warnings that differ from today's and are not worse."""
    found: dict[str, dict[int, int]] = {}  # what -> number of the set -> its cases
    for number, cell in enumerate(cells):
        for what, cases in cell.changed.items():
            short = textwrap.shorten(what, WIDTH, placeholder=" …")  # warnings may differ in an object that they quote
            of_sets = found.setdefault(short, {})
            of_sets[number] = max(of_sets.get(number, 0), cases)
    groups: dict[str, list[str]] = {}
    for what, of_sets in sorted(found.items()):
        most = max(of_sets.values())
        line = f"  - {for_markdown(what)} ({most} case{'s' * (most != 1)})"
        groups.setdefault("; ".join(name_sets([cells[number] for number in of_sets], cells)), []).append(line)
    listed = [line for releases, lines in groups.items() for line in (f"- {releases}:", *lines)]
    return [ALONE, "", *listed] if listed else []


def name_sets(chosen: Sequence[Cell], cells: Sequence[Cell]) -> list[str]:
    """The chosen sets. A release stands for all of its sets if all that were run are chosen."""
    compared = [cell for cell in cells if cell.state in (WORKS, BREAKS, UNDECIDED)]
    named: dict[str, list[str]] = {}
    left = list(chosen)
    names = dict.fromkeys(package for cell in chosen for package in cell.packages)
    pairs = dict.fromkeys((one, cell.packages[one]) for one in names for cell in chosen if one in cell.packages)
    for package, version in pairs:
        of_release = [cell for cell in compared if cell.packages.get(package) == version]
        if all(cell in chosen for cell in of_release) and any(cell in left for cell in of_release):
            named.setdefault(package, []).append(version)
            left = [cell for cell in left if cell not in of_release]
    whole = [f"{package} {', '.join(newest_first(versions))}" for package, versions in named.items()]
    return [*whole, *map(name_of, left)]


def companions(cells: Sequence[Cell]) -> list[str]:
    """What pip changes beside the releases of a set, with the sets for which it does."""
    found: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        if cell.brings:
            found.setdefault(tuple(f"{name} {old} → {new}" for name, (old, new) in cell.brings.items()), []).append(
                cell
            )
    return [f"- {'; '.join(map(name_of, ones))}: {for_markdown(', '.join(changes))}" for changes, ones in found.items()]
