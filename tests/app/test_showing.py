"""Cells of a report's tables become numbers where that is what they are, and text from outside stays text."""

import pytest
from hostile_records import TEXTS

from bench.app.showing import escape_markdown, numbers_in


@pytest.mark.parametrize(
    ("cells", "values", "form"),
    [
        (["0.76 GB", "2.29 GB"], [0.76, 2.29], "%.2f GB"),
        (["1,234", "–", "7"], [1234, None, 7], "%.0f"),
        (["1.50%", "0.2%", ""], [1.5, 0.2, None], "%.2f %%"),
        (["-0.5", "1"], [-0.5, 1], "%.1f"),
    ],
)
def test_cells_of_one_unit_are_numbers(cells, values, form):
    assert numbers_in(cells) == (values, form)


@pytest.mark.parametrize("cells", [["1 GB", "1 MB"], ["yes", "1"], ["–"], [], ["0.9 ± 0.1"], ["1.2 GB (process)"]])
def test_other_cells_stay_text(cells):
    assert numbers_in(cells) is None


@pytest.mark.parametrize("text", TEXTS)
def test_no_punctuation_of_a_text_is_markup(text):
    escaped = escape_markdown(text)
    assert "\u202e" not in escaped
    assert not [
        mark for before, mark in zip(" " + escaped, escaped, strict=False)
        if mark in "<>[]()`*_$:!&#" and before != "\\"
    ]  # fmt: skip
