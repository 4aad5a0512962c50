"""`python -m bench matrix`: what it prints and writes, and what is refused in one sentence."""

from pathlib import Path

import pytest
from compared_runs import POS, committed, run_of

from bench.__main__ import main
from bench.commands import matrix as command
from bench.upgrade import matrix, trial
from bench.upgrade.compatibility import read_table
from bench.upgrade.overlays import CannotInstall, Wanted

PEFT = ["0.21.2", "0.21.1", "0.20.0"]


@pytest.fixture(autouse=True)
def grid(monkeypatch, tmp_path):
    """An index with three releases of peft, of which today's is the newest, and sessions that end at once."""
    monkeypatch.setattr(command, "releases_of", lambda python, name: PEFT)
    monkeypatch.setattr(matrix, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(matrix, "resolve", lambda python, words: [Wanted(*words[0].split("=="), "abc")])
    monkeypatch.setattr(matrix, "install", lambda python, one: Path(f"{one.name}-{one.version}"))
    monkeypatch.setattr(matrix, "unmet", lambda folders: set())
    monkeypatch.setattr(
        trial, "run_side",
        lambda side, folder, *_, suites: run_of(folder / side.name / "20261130T120000", [committed()[POS]]),
    )  # fmt: skip


def test_the_page_is_printed_and_both_files_are_written(tmp_path, capsys):
    assert main(["matrix", "--peft", "0.20..0.21"]) == 0
    printed, err = capsys.readouterr()
    assert "| 0.20.0 | works |" in printed.splitlines()
    assert "peft 0.20.0: to run, installs peft 0.20.0\n" in err
    assert "cell 3 of 3: peft 0.20.0 (about 0 min left)\n" in err
    files = [tmp_path / "table.json", tmp_path / "page.md"]
    assert main(["matrix", "--peft", "0.20..0.21", "--json", str(files[0]), "--markdown", str(files[1])]) == 0
    assert files[1].read_text(encoding="utf-8") == printed
    assert read_table(files[0]).command == "python -m bench matrix --peft 0.20..0.21"
    capsys.readouterr()
    assert main(["matrix", "--show", str(files[0])]) == 0
    assert capsys.readouterr().out == printed


def test_a_table_with_open_cells_is_exit_code_3(monkeypatch, capsys):
    def unreachable(*_):
        raise CannotInstall("the package index does not answer")

    monkeypatch.setattr(matrix, "resolve", unreachable)
    assert main(["matrix", "--peft", "0.20.0"]) == 3
    assert "1 set of releases; not run: 1" in capsys.readouterr().err


def test_a_dry_run_lists_the_cells_and_runs_none(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(trial, "run_side", lambda *_: pytest.fail("it ran"))
    assert main(["matrix", "--peft", "0.20..0.21", "--select", "--tasks pos", "--dry-run"]) == 0
    assert capsys.readouterr().out == (
        "would run, with today's packages and with each of 2 sets of releases:\n"
        "  pytest suites --tasks pos\n  peft 0.21.2\n  peft 0.20.0\n"
    )
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "give the releases of a package, as --transformers 5.17..5.24"),
        (["--peft", "0.21..0.19"], "--peft 0.21..0.19 is backwards; write 0.19..0.21"),
        (["--peft", "0.30..0.31"], "--peft 0.30..0.31: no release lies in this range; the newest is 0.21.2"),
        (["--peft", "0.21", "--select", "-m 'slow"], "--select -m 'slow: No closing quotation"),
        (["--show", "nowhere.json"], "nowhere.json: there is no such file"),
    ],
)
def test_a_mistake_is_one_sentence(words, says, capsys):
    assert main(["matrix", *words]) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"bench: {says}")
    assert (out, err.count("\n")) == ("", 1)


@pytest.mark.parametrize(
    "reason", ["No module named pip", "the package index does not answer", "No matching distribution found for peft"]
)
def test_releases_that_cannot_be_listed_are_one_sentence(reason, monkeypatch, capsys):
    def refuses(python, name):
        raise CannotInstall(f"the releases of {name} cannot be listed: {reason}")

    monkeypatch.setattr(command, "releases_of", refuses)
    assert main(["matrix", "--peft", "0.21"]) == 2
    assert capsys.readouterr().err == f"bench: the releases of peft cannot be listed: {reason}\n"
