"""`python -m bench` says what there is: commands, an example for each user, every option, and what to do next."""

import argparse
import os
import subprocess
import sys
import tomllib
from importlib import import_module

import pytest

from bench import __version__
from bench.__main__ import COMMANDS, main, parser
from bench.commands import show, show_as_is
from bench.commands.options import options_of, suite_options
from bench.core.paths import ROOT

CHOICES = next(one for one in options_of(parser()) if one.nargs == argparse.PARSER).choices


@pytest.mark.parametrize("words", [[], ["--entries", "bench.methods"]])
def test_without_a_command_it_prints_what_there_is(words, capsys):
    assert main(words) == 0
    said = capsys.readouterr().out
    for name in CHOICES:
        assert f"\n    {name} " in said
    for user in ("upgrade", "which card", "paper", "how fast is this machine"):
        assert user in said


def test_an_example_is_a_command_that_parses(capsys):
    main([])
    said = capsys.readouterr().out
    examples = [line.split() for line in said.splitlines() if line.startswith("    python -m bench ")]
    assert len(examples) == 3
    for words in examples:
        assert parser().parse_args(words[3:]).work


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"lorabench {__version__}\n"


def test_console_script_is_the_same_command():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    module, _, function = scripts["lorabench"].partition(":")
    assert getattr(import_module(module), function) is main


@pytest.mark.parametrize(
    ("typed", "says"), [("/x/bin/lorabench", "lorabench"), ("/x/bench/__main__.py", "python -m bench")]
)
def test_help_names_the_command_as_it_was_typed(typed, says, monkeypatch):
    monkeypatch.setattr(sys, "argv", [typed])
    assert parser().format_usage().startswith(f"usage: {says} [")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("repeat it with: pytest suites --tasks pos", "repeat it with: lorabench test --tasks pos"),
        ("run `pytest suites/test_cost.py` again", "run `lorabench test test_cost.py` again"),
        ("pytest 'suites/test_a.py::test_b[c]'", "lorabench test 'suites/test_a.py::test_b[c]'"),
        ("lorabench's `python -m bench fit` won't", "lorabench's `lorabench fit` won't"),
        ("a run named 'pytest suites'; pytest suites", "a run named 'pytest suites'; lorabench test"),
        ('KeyError: "python -m bench"\n"', 'KeyError: "python -m bench"\n"'),
    ],
)
def test_an_installed_lorabench_names_its_own_commands_and_leaves_quoted_text(text, said, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/x/bin/lorabench"])
    show(text)
    assert capsys.readouterr().out == f"{said}\n"


def test_what_a_model_or_a_person_says_is_shown_as_it_is(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/x/bin/lorabench"])
    show_as_is("run pytest suites, then python -m bench table")
    assert capsys.readouterr().out == "run pytest suites, then python -m bench table\n"


@pytest.mark.parametrize("name", CHOICES)
def test_every_option_of_a_command_has_a_help_text(name):
    command = CHOICES[name]
    assert command.description
    assert [one.dest for one in options_of(command) if not one.help] == []


def test_every_option_of_the_suites_has_a_help_text():
    assert suite_options()
    assert [one.dest for one in suite_options() if not one.help] == []


def test_options_lists_every_option(capsys):
    main(["options", "commands"])
    said = capsys.readouterr().out
    for name, command in CHOICES.items():
        section = said.split(f"### {name}\n")[1].split("###")[0].replace("\\|", "|")
        for option in options_of(command):
            if option.dest not in ("help", "entries"):
                names = option.option_strings or [option.metavar or "|".join(option.choices)]
                assert f"| `{', '.join(names)}" in section


def test_a_command_says_what_to_do_next_on_stderr(capsys):
    assert main(["table", "smoke"]) == 0
    out, err = capsys.readouterr()
    assert err == "next: python -m bench picture smoke draws it; pytest suites --replay smoke judges it again\n"
    assert "next:" not in out


def test_a_command_that_fails_does_not_say_what_to_do_next(capsys):
    assert main(["table", "nowhere"]) == 2
    assert "next:" not in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(CHOICES.keys() - {"test"}))  # whose last word is pytest's
def test_every_command_says_what_to_do_next(name):
    assert CHOICES[name].get_default("next")


def test_what_to_do_next_names_commands_that_are_there():
    for command in COMMANDS:
        name = next(name for name in CHOICES if CHOICES[name].get_default("work").__module__ == command.__name__)
        if following := CHOICES[name].get_default("next"):
            words = following.partition("python -m bench ")[2].split()
            assert not words or words[0] in CHOICES


def test_another_package_named_bench_is_named_in_one_sentence(tmp_path):
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").touch()
    done = subprocess.run(
        [sys.executable, "-P", ROOT / "bench" / "__main__.py", "list"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        f"bench: Python imported another package named bench, {tmp_path / 'bench' / '__init__.py'}; run lorabench instead\n"
    )


@pytest.mark.parametrize(("words", "says"), [([], True), (["tests/commands/test_help.py"], False), (["suites"], False)])
def test_a_bare_pytest_says_what_it_is_about_to_run(words, says):
    only = ["--collect-only", "-p", "no:cacheprovider", "--ignore-glob", "*/test_*", "--tasks", "pos"]
    done = subprocess.run([sys.executable, "-m", "pytest", *words, *only], cwd=ROOT, capture_output=True, text=True)
    assert ("running the project's own tests; the benchmark is `pytest suites`" in done.stdout) is says
