"""docs/claims.md names the keys that the code takes, words that exist, and claims that are there."""

import re

import pytest

from bench.core.paths import ROOT
from bench.judge.claims.book import read_claims
from bench.judge.claims.calculations import CALCULATIONS
from bench.judge.claims.kinds import counted, measured, probes, structural
from bench.judge.claims.verdicts import KINDS
from bench.judge.claims.vocabulary import CONTAINS, LACKS, QUANTITIES, UNITS, WITHIN

PAGE = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
ROWS = {
    cells[0].strip("` "): [cell.strip() for cell in cells[1:]]
    for cells in (
        line.strip("|").split("|")
        for line in PAGE.partition("### Keys of `by`")[2].splitlines()
        if line.startswith("| `")
    )
    if len(cells) == 5
}
CLAIMS = read_claims()
WORD = re.compile(r"`([a-z_]+)`")


def words(kind, column):
    return set(WORD.findall(ROWS[kind][column]))


def test_every_kind_has_its_row():
    assert list(ROWS) == list(KINDS)


@pytest.mark.parametrize(("kind", "module"), [("structural", structural), ("counted", counted), ("probe", probes)])
def test_keys_are_those_that_the_code_takes(kind, module):
    assert words(kind, 0) == set(module.REQUIRED)
    assert words(kind, 1) == set(module.OPTIONAL)


def test_keys_of_runs_are_those_that_the_code_takes():
    kinds = [kind for kind, entry in KINDS.items() if entry is KINDS["threshold"]]
    against = {"against", "against_figure"}
    for kind in kinds:
        assert words(kind, 0) == set(measured.REQUIRED) | (against if kind in measured.NEEDS_AGAINST else set())
    assert set().union(*(words(kind, 1) for kind in kinds)) == set(measured.OPTIONAL) - against


@pytest.mark.parametrize("kind", KINDS)
def test_example_is_a_claim_of_its_kind_with_words_that_exist(kind):
    assert CLAIMS[ROWS[kind][3].strip("`")].kind == kind
    quoted = set(re.findall(r'"([^"]+)"', ROWS[kind][2]))
    assert quoted - {*QUANTITIES, *UNITS, CONTAINS, LACKS, WITHIN, "label"} == set()


def test_calculations_that_the_page_names_exist():
    sentence = PAGE.partition("**Arithmetic.** ")[2].partition("A figure is the id")[0]
    named = set(WORD.findall(sentence))
    assert len(named) >= 4
    assert named - {"by", *CALCULATIONS.names()} == set()


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_no_page_counts_the_claims(page):
    """Else adding one claim would make the page untrue."""
    assert re.findall(r"\b\d+ claims\b", page.read_text(encoding="utf-8")) == []
