"""The statistics hold their levels on made-up data, and results/STATISTICS.md is what the command makes of it."""

import math
import statistics

import pytest

from bench.core.paths import RESULTS
from bench.judge.claims import simulation
from bench.judge.claims.kinds.measured import PROCESS_SPREAD
from bench.judge.thresholds import LEAST_SEEDS, read_thresholds
from bench.records.basis import group_of
from bench.records.figures import FIGURES
from bench.records.stored import stored_records
from bench.records.stored_runs import committed_runs
from bench.report.claims import as_statistics
from bench.report.tables import markdown_lines

PAGE = RESULTS / "STATISTICS.md"
AT_MOST = {"confirmed": 5.0, "refuted": 5.0, "confirmed, stated": 5.0, "refuted, stated": 5.0, "any confirmed": 5.0}
HOLDS = 95.0


def columns(table):
    """Each heading's percentages."""
    rows = [dict(zip(table.headings, row, strict=True)) for row in table.rows]
    return {head: [float(row[head].removesuffix(" %")) for row in rows if row[head].endswith(" %")] for head in rows[0]}


@pytest.mark.parametrize(
    ("make", "runs", "slack"),  # four standard errors of 5 % in so many runs
    [
        (simulation.over_seeds, 200, 6.2),
        (simulation.equivalence, 100, 8.8),
        (simulation.seconds, 40, 13.8),
        (simulation.one_seed, 500, 3.9),
        (simulation.families, 50, 12.4),
    ],
)
def test_levels_and_coverage_hold(make, runs, slack):
    found = columns(make(runs))
    for head, most in AT_MOST.items():
        assert max(found.get(head, [0.0])) <= most + slack, head
    assert min(found.get("interval holds", [100.0])) >= HOLDS - slack


def test_page_shows_that_levels_hold():
    """The committed tables, of many runs: within four standard errors, of 2,000 runs 1.9, and of 300 5.0."""
    tables = PAGE.read_text(encoding="utf-8").split("## ")[1:]
    assert len(tables) == len(simulation.TABLES)
    for text in tables:
        lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
        table = simulation.Table("", "", tuple(lines[0]), lines[1:])
        found = columns(table)
        slack = 5.1 if text.startswith("Losses") else 4.0 if text.startswith("A family") else 2.8
        for head, most in AT_MOST.items():
            assert max(found.get(head, [0.0])) <= most + slack, (text, head)
        assert min(found.get("interval holds", [100.0])) >= HOLDS - slack, text


@pytest.mark.parametrize("make", simulation.TABLES)
def test_page_says_of_each_table_what_the_command_says(make):
    table = make(runs=2)
    assert f"## {table.title}\n\n{table.says}\n" in PAGE.read_text(encoding="utf-8")


def test_page_opens_as_the_command_prints_it():
    opening = as_statistics([], simulation.RUNS, simulation.RUNS // 2)
    assert PAGE.read_text(encoding="utf-8").startswith(opening)


def test_a_table_of_the_page_is_made_again_alike():
    """One of few draws, for all would take minutes."""
    table = simulation.one_seed()
    assert "\n".join(markdown_lines([table.headings, *table.rows], 1)) in PAGE.read_text(encoding="utf-8")


def test_page_has_a_section_for_each_table():
    made = as_statistics([simulation.Table("A", "says", ("n", "share"), [("1", "2 %")])], 10, 5)
    assert made.startswith("# What the statistics hold\n")
    assert made.endswith("## A\n\nsays\n\n| n | share |\n|---|---:|\n| 1 | 2 % |\n")


def test_committed_thresholds_are_of_three_seeds_or_more():
    """Of two seeds, one new seed in five would lie outside."""
    entries = read_thresholds().entries
    assert [name for name, entry in entries.items() if entry["seeds"] < LEAST_SEEDS] == []


def test_processes_differ_about_as_much_as_is_stated():
    """Medians of seconds of one case's seeds in one run, each a process: their logarithms' pooled deviation."""
    medians = {}
    for stored in stored_records(committed_runs())[0]:
        value = FIGURES["seconds_per_step"].value(stored.record)
        if stored.record.ok and value and stored.record.noisy["steps_timed"] >= 4:
            key = stored.run, group_of(stored.record), stored.record.recipe_digest
            medians.setdefault(key, []).append(math.log(value))
    several = [values for values in medians.values() if len(values) > 1]
    assert len(several) >= 5
    freedom = sum(len(values) - 1 for values in several)
    pooled = math.sqrt(sum(statistics.variance(values) * (len(values) - 1) for values in several) / freedom)
    assert PROCESS_SPREAD / 2 < pooled < PROCESS_SPREAD * 2
