"""The pages of docs/journeys on upgrades and machines: what takes seconds is run, and prints what stands there.

Nothing trains: comparisons are of stored runs, and steps take half a second by the clock of stored_benchmarks.py. The
journey to a judged case of one's own is in test_wheel.py, with the built wheel.
"""

import os

from page_listings import replay, surroundings, text_of

from bench.core.paths import ROOT


def test_upgrade_is_judged(tmp_path):
    assert len(replay(text_of("journeys/upgrade-judged.md"), tmp_path)) == 1


def test_two_machines_are_compared(tmp_path):
    """Both in one folder, which is what copying .benchmarks leads to."""
    stored = {
        **surroundings(tmp_path), "PYTEST_ADDOPTS": "-p stored_benchmarks",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
    }  # fmt: skip
    assert len(replay(text_of("journeys/machines-compared.md"), tmp_path, environment=stored)) == 2
