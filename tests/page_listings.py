"""A page of docs replayed as a reader would: its files written to a folder, its commands run there in their order.

A block of code is a file if its first line is a comment with the file's name, or if `<!-- file: NAME -->` stands
before it. In a console listing FOLDER stands for the folder, and a line `...` for lines that are left out.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.core.paths import ROOT
from bench.report.pages import Listing, split_console

FILE = re.compile(r"(?:<!-- file: (\S+) -->\n)?```(?:toml|python|json)\n(?:# (\S+\.(?:toml|py))\n)?(.*?)```", re.DOTALL)
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
LORABENCH = "import sys; sys.argv[0] = 'lorabench'; from bench.__main__ import main; sys.exit(main())"
CHECKOUT = (sys.executable, "-c", LORABENCH)


def text_of(page: str) -> str:
    return (ROOT / "docs" / page).read_text(encoding="utf-8")


def write_files(text: str, folder: Path) -> list[str]:
    """Write the page's files; their names."""
    named = [(before or first, content) for before, first, content in FILE.findall(text) if before or first]
    for name, content in named:
        (folder / name).write_text(content, encoding="utf-8")
    return [name for name, _ in named]


def listings_of(text: str) -> list[Listing]:
    """The page's commands of lorabench with what stands below them."""
    found = [one for console in CONSOLE.findall(text) for one in split_console(console)]
    return [one for one in found if one.command.startswith("lorabench ")]


def surroundings(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LORABENCH_", "GITHUB_", "CI"))}
    return {**kept, "PYTHONPATH": str(ROOT), "LORABENCH_RUNS": str(folder / "lorabench-runs"),
            "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "COLUMNS": "120"}  # fmt: skip


def assert_shows(
    folder: Path, listing: Listing, program: Sequence[str | Path] = CHECKOUT, environment: dict[str, str] | None = None
) -> None:
    """Run the listing's command in the folder by this program; it must print what stands below the command."""
    done = subprocess.run(
        [*program, *shlex.split(listing.command, comments=True)[1:]], cwd=folder,
        env=environment or surroundings(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
    )  # fmt: skip
    printed = done.stdout.replace(str(folder), "FOLDER")
    assert listing.shows(printed), f"{listing.command} prints\n{printed}\nand the page shows\n{listing.output}"
