"""Columns keep each text whole, in the room that there is."""

from bench.report.columns import in_columns


def test_texts_stand_beside_each_other():
    assert in_columns(["base", "tuned"], ["a short answer", "another\nline"], 60) == [
        "base                           tuned",
        "----                           -----",
        "a short answer                 another",
        "                               line",
    ]


def test_no_line_is_wider_than_the_terminal():
    for width in (30, 60, 80):
        lines = in_columns(["a title that is long", "tuned"], ["word " * 100, "x" * 300], width)
        assert max(map(len, lines)) <= width
        assert "".join(lines).count("word") == 100
        assert "".join(lines).count("x") == 300


def test_a_narrow_terminal_has_one_below_the_other():
    assert in_columns(["base", "tuned"], ["a", "b"], 30) == ["base", "----", "a", "", "tuned", "-----", "b"]


def test_what_a_model_says_moves_no_cursor():
    assert "\x1b" not in "".join(in_columns(["base"], ["\x1b[2Jgone"], 60))
