"""Releases chosen by a range or by name, and what is refused in one sentence."""

import re

import pytest

from bench.upgrade.releases import choose_releases

KNOWN = ["6.0.0rc1", "5.24.0", "5.23.1", "5.23.0", "5.22.2", "5.22.10", "5.9.0", "4.57.6", "odd one"]


@pytest.mark.parametrize(
    ("text", "releases"),
    [
        ("5.22..5.24", ["5.24.0", "5.23.1", "5.22.10"]),
        ("5.22..5.23.0", ["5.23.0", "5.22.10"]),
        ("5.22.3 .. 5.23", ["5.23.1", "5.22.10"]),
        ("4..5", ["5.24.0", "5.23.1", "5.22.10", "5.9.0", "4.57.6"]),
        ("5.23..9", ["5.24.0", "5.23.1"]),
        ("5.22.2,5.23.0", ["5.23.0", "5.22.2"]),
        ("5.24,5.23..5.24,6.0.0rc1", ["6.0.0rc1", "5.24.0", "5.23.1"]),
    ],
)
def test_a_range_takes_the_newest_patch_of_each_minor_release(text, releases):
    assert choose_releases("peft", text, KNOWN) == releases


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("5.24..5.17", "--peft 5.24..5.17 is backwards; write 5.17..5.24"),
        ("5.25..5.30", "--peft 5.25..5.30: no release lies in this range; the newest is 5.24.0"),
        ("5.23.9", "--peft 5.23.9: the package index has no such release for this Python; did you mean 5.23.1?"),
        ("newest", "--peft newest is neither a release nor a range; write 5.23.0, or 5.17..5.24"),
        ("5.17..", "--peft 5.17.. is neither a release nor a range; write 5.23.0, or 5.17..5.24"),
        ("5.1..5.2..5.3", "--peft 5.1..5.2..5.3 is neither a release nor a range; write 5.23.0, or 5.17..5.24"),
        (" , ", "--peft is empty; give a range such as 5.17..5.24, or releases such as 5.22.2,5.23.0"),
    ],
)
def test_what_selects_no_release_is_one_sentence(text, says):
    with pytest.raises(ValueError, match=rf"^{re.escape(says)}$"):
        choose_releases("peft", text, KNOWN)


def test_a_package_without_releases_is_one_sentence():
    with pytest.raises(ValueError, match="the package index has no release of peft for this Python"):
        choose_releases("peft", "0.19..0.21", [])
