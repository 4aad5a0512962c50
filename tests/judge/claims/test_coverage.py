"""The list of the sources' parts is whole: every part has claims that exist or a reason, every claim has a part."""

import pytest

from bench.core.files import BadFile
from bench.judge.claims.book import read_claims
from bench.judge.claims.coverage import Part, claims_without_part, missing_from_list, read_coverage

CLAIMS = read_claims()
PARTS = read_coverage(CLAIMS)
LONG = "a paragraph of prose " * 10
PART = '[[part]]\nsource = "004"\nplace = "abstract"\nopening = "Abstract: The article"\n'


def test_every_source_is_listed():
    assert list(dict.fromkeys(part.source for part in PARTS)) == ["000", "001", "002", "003", "004"]


def test_every_claim_of_a_source_is_named_by_a_part():
    assert claims_without_part(PARTS, CLAIMS) == []


def test_claims_of_a_part_are_of_its_source():
    assert [part.place for part in PARTS if {CLAIMS[name].source for name in part.claims} - {part.source}] == []


def test_claim_that_no_part_names_is_found():
    without = [part for part in PARTS if part.place != "Table 2"]
    assert "s001-label-nn" in claims_without_part(without, CLAIMS)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("", "coverage.toml, part 1 (source 004, abstract): names no claim and gives no reason"),
        ('claims = ["s004-qlora-rank-adapt"]', "claims: 's004-qlora-rank-adapt' is unknown; did you mean s004-qlora"),
        ('claims = ["s004-nothing-*"]', "claims: 's004-nothing-*' is unknown"),
        ('reasons = "an aim"', "field: 'reasons' is unknown; did you mean reason?"),
    ],
)
def test_part_without_a_claim_that_exists_or_a_reason_is_refused(tmp_path, more, says):
    path = tmp_path / "coverage.toml"
    path.write_text(PART + more, encoding="utf-8")
    with pytest.raises(BadFile) as raised:
        read_coverage(CLAIMS, path)
    assert says in str(raised.value)


def test_pattern_stands_for_every_claim_it_fits(tmp_path):
    path = tmp_path / "coverage.toml"
    path.write_text(PART + 'claims = ["s001-label-*"]', encoding="utf-8")
    assert len(read_coverage(CLAIMS, path)[0].claims) == 19


def part(opening, more=0):
    return Part("900", f"the part {opening}", opening, (), "a reason", more)


def test_paragraph_without_a_part_is_found():
    text = f"One {LONG}\n\nTwo {LONG}\n\n* **Three** {LONG}\n"
    assert missing_from_list([part("One"), part("Two"), part("Three")], text) == []
    assert missing_from_list([part("One", 2)], text) == []
    assert (
        "the part One: 1 further paragraphs follow, 0 expected"
        in missing_from_list([part("One"), part("Three")], text)[0]
    )


def test_opening_that_the_text_has_not_is_found():
    text = f"One {LONG}\n\nTwo {LONG}\n"
    assert missing_from_list([part("One"), part("Too")], text)[0] == (
        "the part Too: no line after the part before begins with 'Too'"
    )
    assert len(missing_from_list([part("Two"), part("One")], text)) == 1  # they are in the order of the text
