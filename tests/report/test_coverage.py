"""The page of the sources' parts is what the command prints, and the command compares a list with a text."""

from bench.__main__ import main
from bench.core.paths import RESULTS
from bench.judge.claims.book import read_claims
from bench.judge.claims.coverage import read_coverage
from bench.report import coverage

PAGE = RESULTS / "COVERAGE.md"


def test_page_is_what_the_command_prints(capsys):
    assert main(["coverage"]) == 0
    assert capsys.readouterr().out == PAGE.read_text(encoding="utf-8")


def test_summary_counts_every_part_once():
    parts = read_coverage(read_claims())
    lines = coverage.summary(parts)[1:]
    assert sum(int(line[1]) for line in lines) == len(parts)
    assert all(int(spoken) + int(reasoned) == int(total) for _, total, spoken, reasoned, _ in lines)


def test_command_says_what_the_list_lacks_of_a_text(tmp_path, capsys):
    text = tmp_path / "text"
    text.write_text("Another article\n", encoding="utf-8")
    assert main(["coverage", "--text", f"004={text}"]) == 1
    assert "abstract: no line after the part before begins with 'Abstract: The article" in capsys.readouterr().err


def test_command_refuses_a_text_that_is_not_there(capsys):
    assert main(["coverage", "--text", "004=nowhere"]) == 2
    assert "--text 004=nowhere: expected SOURCE=FILE" in capsys.readouterr().err
