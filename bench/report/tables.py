"""Tables of cells, the first line their headings: names to the left, numbers to the right.

Cells may hold text from outside; here it is made safe to show.
"""

from collections.abc import Sequence

from bench.core.outside_text import for_markdown, for_terminal

Table = Sequence[Sequence[str]]


def text_lines(table: Table, names: int) -> list[str]:
    """Lines for a terminal, columns aligned; names: how many of the columns begin at the left."""
    table = [[for_terminal(cell) for cell in line] for line in table]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(map(aligned, line, widths, left_first(names, widths))).rstrip() for line in table]


def markdown_lines(table: Table, names: int) -> list[str]:
    """Lines of a Markdown table; nothing inside a cell is markup."""
    lines = ["| " + " | ".join(map(for_markdown, line)) + " |" for line in table]
    rules = ["---|" if left else "---:|" for left in left_first(names, table[0])]
    return [lines[0], "|" + "".join(rules), *lines[1:]]


def left_first(names: int, columns: Sequence[object]) -> list[bool]:
    return [column < names for column in range(len(columns))]


def aligned(cell: str, width: int, left: bool) -> str:
    return cell.ljust(width) if left else cell.rjust(width)
