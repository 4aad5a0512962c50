"""`python -m bench pages`: make the tables, pictures and listings of README, docs and results anew."""

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

from bench.commands import Commands, Mistake, add_command, need_checkout
from bench.core.files import write_atomically
from bench.core.paths import ROOT
from bench.report.pages import pages, pictures, refresh_page


def add(commands: Commands) -> None:
    parser = add_command(commands, "pages", "refresh the tables and pictures of README, docs and results")
    parser.set_defaults(work=refresh, next="git diff README.md docs results shows what changed")


def command_output(words: list[str]) -> str:
    """What a command prints, run as a person would. Raises Mistake with the command if it fails.

    An exit code of 1 is an answer: something is worse.
    """
    command = [sys.executable, "-m", "bench", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    if done.returncode > 1:
        raise Mistake(f"nothing was written: python -m bench {shlex.join(words)} failed: {done.stderr.strip()}")
    return done.stdout


def refresh(arguments: argparse.Namespace) -> int:
    """Print the files that changed. No file is written before every command has succeeded."""
    need_checkout("pages")
    made: dict[Path, str] = {}
    for page in pages(ROOT):
        text = page.read_text(encoding="utf-8")
        made[page] = refresh_page(text, command_output)
        for words, name in pictures(text):
            made[page.parent / name] = command_output(words)
    for path, text in made.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_atomically(path, text)
            print(path.relative_to(ROOT))
    return 0
