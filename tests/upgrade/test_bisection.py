"""Searches by trials: the smallest bad set, the first bad release, and what is neither good nor bad."""

import pytest

from bench.upgrade.bisection import BAD, GOOD, UNTESTABLE, between, first_bad, smallest_guilty

PACKAGES = ["accelerate", "datasets", "peft", "transformers"]


@pytest.mark.parametrize(
    "guilty",
    [{"transformers"}, {"accelerate"}, {"peft", "transformers"}, {"accelerate", "transformers"}, set(PACKAGES)],
)
def test_the_smallest_guilty_set_is_found(guilty):
    asked = set()

    def test(packages):
        asked.add(frozenset(packages))  # a search keeps what it has tried
        return BAD if guilty <= set(packages) else GOOD

    assert set(smallest_guilty(PACKAGES, test)) == guilty
    assert len(asked) <= 14


def test_sets_that_cannot_be_tested_are_passed_over():
    """datasets without accelerate ends otherwise."""

    def test(packages):
        if "datasets" in packages and "accelerate" not in packages:
            return UNTESTABLE
        return BAD if "transformers" in packages else GOOD

    assert set(smallest_guilty(PACKAGES, test)) == {"transformers"}


@pytest.mark.parametrize("culprit", range(8))
@pytest.mark.parametrize("untestable", [None, 3, 4])
def test_the_first_bad_release_is_found_by_halving(culprit, untestable):
    releases = [f"5.{number}.0" for number in range(8)]
    asked = []

    def test(release):
        asked.append(release)
        number = releases.index(release)
        return UNTESTABLE if number == untestable != culprit else BAD if number >= culprit else GOOD

    good, bad = first_bad(releases, test)
    assert bad == releases[culprit] or (untestable is not None and releases.index(bad) == culprit + 1)
    assert good == (releases[releases.index(bad) - 1] if releases.index(bad) else "") or untestable is not None
    assert len(asked) <= 5


def test_releases_between_two_versions_are_in_their_order_without_previews():
    known = ["5.3.0", "5.21.0", "5.22.0rc1", "5.23.0", "5.9.0", "5.24.0", "6.0.0"]
    assert between(known, "5.9.0", "5.24.0") == ["5.21.0", "5.23.0", "5.24.0"]
    assert between(known, "5.24.0", "5.9.0") == ["5.23.0", "5.21.0", "5.9.0"], "a downgrade goes down"
    assert between(known, "5.23.0", "5.22.0rc1") == ["5.22.0rc1"]
    assert between(known, "5.23.0", "5.23.0") == ["5.23.0"], "another build of the same release"
    assert between(["odd one"], "1", "2") == ["2"]
