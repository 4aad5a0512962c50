"""README and docs show what the commands print, and `python -m bench pages` writes that and nothing else."""

import re
import shlex
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.commands import Mistake
from bench.commands import pages as command
from bench.core.paths import ROOT
from bench.report.pages import Listing, listings, pages, pictures, refresh_page, split_console, tables

TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in pages(ROOT)}
TABLES = [pytest.param(words, table, id=f"{name}:{shlex.join(words)}")
          for name, text in TEXTS.items() for words, table in tables(text)]  # fmt: skip
PICTURES = [pytest.param(words, Path(name).parent / file, id=f"{name}:{file}")
            for name, text in TEXTS.items() for words, file in pictures(text)]  # fmt: skip
LISTINGS = [pytest.param(listing, id=f"{name}:{listing.command}")
            for name, text in TEXTS.items() for listing in listings(text)]  # fmt: skip
LINKS = [(name, link) for name, text in TEXTS.items() for link in re.findall(r"\]\(([^)#:]+)\)", text)]
PAGE = """\
before
<!-- table: python -m bench table smoke --markdown -->
old
<!-- end of table -->
```console
$ python -m bench list methods   # quickly
old methods
$ pytest suites
```
<!-- not replayed: trains -->
```console
$ python -m bench engines CASE
old seconds
```
```console
$ python -m bench predict --quick
...
old bytes
```
after
"""


@pytest.mark.parametrize(("words", "table"), TABLES)
def test_table_is_what_its_command_prints(words, table, capsys):
    assert main(words) == 0
    assert capsys.readouterr().out == table, "the page is out of date; python -m bench pages makes it anew"


@pytest.mark.parametrize(("words", "file"), PICTURES)
def test_picture_is_what_its_command_draws(words, file, capsys):
    assert main(words) == 0
    drawn = (ROOT / file).read_text(encoding="utf-8")
    assert capsys.readouterr().out == drawn, "the picture is out of date; python -m bench pages draws it anew"


@pytest.mark.parametrize("listing", LISTINGS)
def test_listing_is_what_its_command_prints(listing, capsys):
    assert main(listing.words) in (0, 1)  # 1: something is worse
    printed = capsys.readouterr().out
    assert listing.shows(printed), f"{listing.command} prints\n{printed}\nand the page shows\n{listing.output}"


def test_readme_has_a_table_a_picture_and_a_listing():
    """The picture is a screenshot: docs/reports.md has its commands."""
    text = TEXTS["README.md"]
    assert [words for words, _ in tables(text)] == [["table", "smoke", "--markdown"]]
    assert "](docs/images/report.png)" in text
    assert listings(text)


def test_readme_fits_on_three_screens():
    lines = TEXTS["README.md"].splitlines()
    assert len(lines) <= 130, f"README has {len(lines)} lines, and three screens are 130; move a part to docs/"


@pytest.mark.parametrize(("name", "link"), LINKS, ids=[f"{name}:{link}" for name, link in LINKS])
def test_link_leads_to_a_file(name, link):
    assert (ROOT / name).parent.joinpath(link).exists(), f"{name} links to {link}, which is not there"


def test_every_page_of_docs_is_in_its_index():
    linked = {link for name, link in LINKS if name == "docs/README.md"}
    there = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert there - {"README.md"} <= linked


def test_refreshing_replaces_tables_and_whole_listings_alone():
    asked = []

    def run(words):
        asked.append(words)
        return f"new {words[0]}\n"

    assert refresh_page(PAGE, run) == PAGE.replace("old\n", "new table\n").replace("old methods", "new list")
    assert asked == [["table", "smoke", "--markdown"], ["list", "methods"]]


def test_refreshing_a_page_that_is_right_changes_nothing():
    right = {"table": "old\n", "list": "old methods\n"}
    assert refresh_page(PAGE, lambda words: right[words[0]]) == PAGE


@pytest.mark.parametrize(
    ("output", "printed", "shows"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\n", "a\nb\n", False),
        ("a\n...\n", "a\nb\nc\n", True),
        ("...\nc\n...\n", "a\nb\nc\n", True),
        ("...\nc\n...\n", "a\nb\n", False),
        ("...\nb\nc\n", "b\na\nc\n", False),
        ("a.c\n", "abc\n", False),
    ],
)
def test_a_line_of_dots_stands_for_any_lines(output, printed, shows):
    assert Listing("python -m bench x", output).shows(printed) is shows


def test_a_command_goes_on_after_a_backslash():
    listing = next(split_console("$ python -m bench table smoke \\\n    --markdown\nx\n"))
    assert listing.words == ["table", "smoke", "--markdown"]
    assert listing.output == "x\n"


def test_pages_writes_nothing_if_a_command_fails(tmp_path, monkeypatch):
    page = tmp_path / "README.md"
    page.write_text("<!-- table: python -m bench table nowhere -->\nold\n<!-- end of table -->\n", encoding="utf-8")
    monkeypatch.setattr(command, "pages", lambda root: [page])
    with pytest.raises(
        Mistake, match=r"nothing was written: python -m bench table nowhere failed: bench: nowhere: no run"
    ):
        command.refresh(None)
    assert "old" in page.read_text(encoding="utf-8")
