"""Parts of pages that come from commands: tables, pictures and console listings, to be compared and regenerated.

    <!-- table: python -m bench table smoke --markdown -->
    what the command prints
    <!-- end of table -->

    <!-- picture: python -m bench picture smoke -->
    ![what it shows](images/smoke.svg)

A console listing of a `python -m bench` command is replayed too, unless a comment before it says why not:
`<!-- not replayed: takes six minutes -->`. A line `...` stands for lines that are left out.
"""

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

COMMAND = "python -m bench "
LEFT_OUT = "..."
TABLE = re.compile(r"(?<=<!-- table: python -m bench )([^\n]+)( -->\n)(.*?)(?=<!-- end of table -->)", re.DOTALL)
PICTURE = re.compile(r"<!-- picture: python -m bench ([^\n]+) -->\n!\[[^\]]*\]\(([^)]+)\)")
CONSOLE = re.compile(r"(<!-- not replayed: [^\n]+ -->\n)?```console\n(.*?)```", re.DOTALL)

Run = Callable[[list[str]], str]  # a command's words without `python -m bench` -> what it prints


@dataclass(frozen=True)
class Listing:
    """A command in a console listing, and the lines below it."""

    command: str
    output: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.command.removeprefix(COMMAND), comments=True)

    @property
    def is_whole(self) -> bool:
        return LEFT_OUT not in self.output.splitlines()

    def shows(self, printed: str) -> bool:
        """Whether the listing matches what the command printed, apart from lines left out."""
        pattern = "".join(
            r"(?:.*\n)*?" if line == LEFT_OUT else re.escape(line) + "\n" for line in self.output.splitlines()
        )
        return re.fullmatch(pattern, printed.rstrip("\n") + "\n") is not None


def tables(text: str) -> list[tuple[list[str], str]]:
    """(words of the command, the table) of each table."""
    return [(shlex.split(match[1]), match[3]) for match in TABLE.finditer(text)]


def pictures(text: str) -> list[tuple[list[str], str]]:
    """(words of the command, the file name on the page) of each picture."""
    return [(shlex.split(match[1]), match[2]) for match in PICTURE.finditer(text)]


def listings(text: str) -> list[Listing]:
    """The `python -m bench` commands, with their output, of the listings to replay."""
    found = [listing for match in CONSOLE.finditer(text) if not match[1] for listing in split_console(match[2])]
    return [one for one in found if one.output and one.command.startswith(COMMAND)]


def split_console(text: str) -> Iterator[Listing]:
    """Every command of a console listing; a line that ends in a backslash continues on the next."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        end = next(number for number, line in enumerate(lines, 1) if not line.endswith("\\"))
        command = " ".join(line.removesuffix("\\").strip() for line in lines[:end])
        yield Listing(command, "".join(f"{line}\n" for line in lines[end:]))


def refresh_page(text: str, run: Run) -> str:
    """The page with every table, and every listing that leaves nothing out, as the commands print them now."""
    text = TABLE.sub(lambda match: f"{match[1]}{match[2]}{run(shlex.split(match[1]))}", text)
    for listing in listings(text):
        if listing.is_whole:
            text = text.replace(f"\n{listing.output}", f"\n{run(listing.words).rstrip()}\n", 1)
    return text


def pages(root: Path) -> list[Path]:
    """The README, and the pages of docs and results."""
    return [root / "README.md", *sorted((root / "docs").rglob("*.md")), *sorted((root / "results").glob("*.md"))]
