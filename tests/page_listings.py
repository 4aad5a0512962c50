"""A page of docs replayed as a reader would: from its top down, files are written to a folder and commands run there.

A block of code is a file if its first line is a comment with the file's name, or if `<!-- file: NAME -->` stands
before it. In a console listing FOLDER stands for the folder, and a line `...` for lines that are left out. Of figures
that a run measured the page shows one run's, and any other are as good. A command succeeds, unless the page shows an
error below it, or another exit code by `echo $?`. A listing below `<!-- not replayed: WHY -->` is not run.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from bench.core.paths import ROOT
from bench.report.pages import Listing, split_console

BLOCK = re.compile(
    r"(?P<skipped><!-- not replayed: [^\n]+ -->\n)?(?:<!-- file: (?P<before>\S+) -->\n)?```(?P<kind>\w+)\n(?:# (?P<first>\S+\.(?:toml|py))\n)?(?P<text>.*?)```",
    re.DOTALL,
)
FILES, CONSOLE = ("toml", "python", "json"), "console"
LORABENCH = "import sys; sys.argv[0] = 'lorabench'; from bench.__main__ import main; sys.exit(main())"
RUNS = "test"  # the command that measures
CHECKOUT = (sys.executable, "-c", LORABENCH)


def text_of(page: str) -> str:
    return (ROOT / "docs" / page).read_text(encoding="utf-8")


def replay(
    text: str, folder: Path, program: Sequence[str | Path] = CHECKOUT, environment: dict[str, str] | None = None
) -> list[str]:
    """Write the page's files and run its commands of lorabench by this program, each compared; the commands."""
    done = []
    for block in BLOCK.finditer(text):
        name = block["before"] or block["first"]
        if block["kind"] in FILES and name:
            (folder / name).write_text(block["text"], encoding="utf-8")
        for listing, code in commands_in(block["text"]) if block["kind"] == CONSOLE and not block["skipped"] else ():
            assert_shows(folder, listing, code, program, environment or surroundings(folder))
            done.append(listing.command)
    return done


def commands_in(console: str) -> Iterator[tuple[Listing, str]]:
    """Each command of lorabench, with the exit code that `echo $?` shows after it, or nothing."""
    for one, following in pairwise([*split_console(console), Listing("", "")]):
        if one.command.startswith("lorabench "):
            yield one, following.output.strip() if following.command == "echo $?" else ""


def without_figures(text: str) -> str:
    """The text with a sign for each number, change of one, name of a run or machine, and run of blanks."""
    text = re.sub(r"lorabench-runs/\S+", "lorabench-runs/RUN", text)
    text = re.sub(r"\b\d[\d.,:]*", "#", re.sub(r" +", " ", text))
    return re.sub(r" (same|[-+]#%)$", " CHANGE", text, flags=re.MULTILINE)


def surroundings(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LORABENCH_", "GITHUB_", "CI"))}
    return {**kept, "PYTHONPATH": str(ROOT), "LORABENCH_RUNS": str(folder / "lorabench-runs"),
            "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}  # fmt: skip


def assert_shows(
    folder: Path, listing: Listing, code: str, program: Sequence[str | Path], environment: dict[str, str]
) -> None:
    """Run the listing's command in the folder by this program; it must print what stands below it, and end so."""
    assert listing.output, f"the page shows nothing below {listing.command}"
    done = subprocess.run(
        [*program, *shlex.split(listing.command, comments=True)[1:]], cwd=folder, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
    )  # fmt: skip
    printed = done.stdout.replace(str(folder), "FOLDER")
    measures = listing.command.split()[1] == RUNS
    expected = Listing(listing.command, without_figures(listing.output)) if measures else listing
    assert expected.shows(without_figures(printed) if measures else printed), (
        f"{listing.command} prints\n{printed}\nand the page shows\n{listing.output}"
    )
    fails = any(line.startswith(("bench: ", "ERROR: ")) for line in listing.output.splitlines())
    ended = done.returncode == int(code) if code else (done.returncode != 0) is fails
    assert ended, f"{listing.command} ends with {done.returncode}:\n{printed}"
