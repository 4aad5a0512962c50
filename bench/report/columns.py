"""Texts side by side in columns of a terminal, as answers to the same question are compared."""

import textwrap
from collections.abc import Sequence
from itertools import zip_longest

from bench.core.outside_text import lines_for_terminal

GAP = "  "
LEAST_WIDTH = 24  # of a column; where there is no room for all columns, the texts come one below the other


def in_columns(titles: Sequence[str], texts: Sequence[str], width: int) -> list[str]:
    """Lines with a column for each title, or with the texts one below the other in a narrow terminal."""
    each = (width - len(GAP) * (len(titles) - 1)) // len(titles)
    if each < LEAST_WIDTH:
        blocks = [
            [*wrap_lines(title, width), rule(title, width), *wrap_lines(text, width), ""]
            for title, text in zip(titles, texts, strict=True)
        ]
        return [line for lines in blocks for line in lines][:-1]
    heads = [wrap_lines(title, each) for title in titles]
    tallest = max(map(len, heads))
    columns = [
        [*head, *[""] * (tallest - len(head)), rule(title, each), *wrap_lines(text, each)]
        for title, head, text in zip(titles, heads, texts, strict=True)
    ]
    return [GAP.join(cell.ljust(each) for cell in row).rstrip() for row in zip_longest(*columns, fillvalue="")]


def rule(title: str, width: int) -> str:
    return "-" * min(width, len(title))


def wrap_lines(text: str, width: int) -> list[str]:
    """The text's lines, none longer than width; it may come from a model."""
    return [part for line in lines_for_terminal(text).split("\n") for part in textwrap.wrap(line, width) or [""]]
