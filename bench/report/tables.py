"""Tables of cells whose first line holds the headings: names on the left, numbers on the right.

Cells may hold text from outside; this module makes it safe to show.
"""

import textwrap
from collections.abc import Sequence

from bench.core.outside_text import for_markdown, for_terminal

Table = Sequence[Sequence[str]]
NO_BREAK = "\u00a0"  # a non-breaking space


def text_lines(table: Table, names: int) -> list[str]:
    """Lines for a terminal with aligned columns; names: how many columns are aligned to the left."""
    table = [[for_terminal(cell) for cell in line] for line in table]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(map(align, line, widths, left_columns(names, widths))).rstrip() for line in table]


def markdown_lines(table: Table, names: int) -> list[str]:
    """Lines of a Markdown table; nothing inside a cell is markup."""
    lines = ["| " + " | ".join(map(for_markdown, line)) + " |" for line in table]
    rules = ["---|" if left else "---:|" for left in left_columns(names, table[0])]
    return [lines[0], "|" + "".join(rules), *lines[1:]]


def left_columns(names: int, columns: Sequence[object]) -> list[bool]:
    return [column < names for column in range(len(columns))]


def align(cell: str, width: int, left: bool) -> str:
    return cell.ljust(width) if left else cell.rjust(width)


def lines_within(table: Table, names: int, width: int) -> list[str]:
    """Lines for a terminal `width` columns wide: the table, or a paragraph for each row if the table is wider.

    A table that wraps cannot be read.
    """
    lines = text_lines(table, names)
    return lines if max(map(len, lines)) <= width else paragraphs(table, width)


def paragraphs(table: Table, width: int) -> list[str]:
    """Each row as a paragraph: its first cell, then every other cell after its heading."""
    headings, *rows = [[for_terminal(cell) for cell in line] for line in table]
    found = []
    for first, *cells in rows:
        pairs = [f"{heading} {cell}".replace(" ", NO_BREAK) for heading, cell in zip(headings[1:], cells, strict=True)]
        text = textwrap.fill(", ".join(pairs), width, initial_indent="  ", subsequent_indent="  ")
        found += [first, *text.replace(NO_BREAK, " ").splitlines()]
    return found
