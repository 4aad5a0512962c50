"""What catches a planted fault: judged from two runs, two tried from end to end, and the committed page of all."""

import re
from dataclasses import replace

import pytest
from compared_runs import POS, committed, side_of

from bench.commands.faults import HEADINGS, NOTHING, count_ways, exit_code, row
from bench.core.outside_text import for_markdown
from bench.core.paths import RESULTS, ROOT
from bench.judge.compare.baselines import Refused, accept
from bench.records.record import FAILED
from bench.records.tested import CaseTests
from bench.upgrade import faults
from bench.upgrade.faults import ALONE, AS_CHANGED, NOT_SEEN, WITH_BASELINE, judge_fault, try_fault
from bench.upgrade.planting import fault_names, read_fault

FAULT = read_fault("alpha_off")
SMOKE = committed()
RECORD = SMOKE[POS]
IN_CI = ("rounded_base", "alpha_off")  # of one selection, which without a fault runs once
PAGE = RESULTS / "FAULTS.md"


def outcomes_of(**outcomes):
    return CaseTests(True, 0, {POS: {f"test_cost.py::{test}": outcome for test, outcome in outcomes.items()}})


def caught(records, before=None, after=None):
    return judge_fault(FAULT, side_of([RECORD], tested=before), side_of(records, tested=after))


def test_a_run_that_is_the_same_catches_nothing():
    found = caught([RECORD], outcomes_of(test_a="passed"), outcomes_of(test_a="passed"))
    assert found.how == NOT_SEEN
    assert row(found) == ("alpha_off", NOT_SEEN, FAULT.says, FAULT.modelled_on.rstrip("."), NOTHING, NOTHING)


def test_a_test_that_fails_with_the_fault_alone_catches_it_without_a_baseline():
    before = outcomes_of(test_a="failed", test_b="passed")
    found = caught([RECORD], before, outcomes_of(test_a="failed", test_b="failed", test_c="error"))
    assert (found.tests, found.figures) == (("test_b", "test_c"), {"worse": ("tests",)})


def test_a_test_without_a_case_counts_too():
    found = caught([RECORD], CaseTests(others={"test_a": "passed"}), CaseTests(others={"test_a": "failed"}))
    assert found.tests == ("test_a",)


def test_figures_that_are_worse_or_changed_catch_it_with_a_baseline():
    worse = replace(RECORD, evidence={**RECORD.evidence, "reload_distance": 0.1}, losses=[9.0, *RECORD.losses[1:]])
    found = caught([worse])
    assert found.tests == ()
    assert found.figures == {"worse": ("reload_distance",), "changed": ("losses from step 1",)}
    assert row(found)[-1] == "worse: reload_distance; changed: losses from step 1"
    assert found.how == WITH_BASELINE


def test_a_fault_that_is_only_seen_as_changed_is_not_caught():
    """No figure is worse, so a comparison is green."""
    changed = caught([replace(RECORD, losses=[9.0, *RECORD.losses[1:]])])
    assert (changed.how, changed.figures) == (AS_CHANGED, {"changed": ("losses from step 1",)})
    unseen, alone = caught([RECORD]), caught([RECORD], outcomes_of(a="passed"), outcomes_of(a="failed"))
    assert alone.how == ALONE
    assert count_ways([alone, changed, alone]) == "3 faults: 2 without a baseline, 1 seen as changed, not red."
    assert [exit_code(ones) for ones in ([alone], [alone, changed], [changed, unseen])] == [0, 3, 1]


def test_a_case_that_cannot_be_compared_catches_it_with_a_baseline():
    found = caught([replace(RECORD, data={**RECORD.data, "identity": "other"})])
    assert found.figures["incomparable"][0].startswith("data differ")


def test_a_case_that_fails_is_named_once_with_its_reason():
    broken = replace(RECORD, status=FAILED, reason="KeyError: 'x'\nmore")
    found = caught([broken], outcomes_of(test_a="passed"), outcomes_of(test_a="failed"))
    assert found.tests == ("the case ends as failed: KeyError: 'x'",)
    assert found.figures == {"worse": ("status failed",)}


def test_runs_are_kept_by_what_they_depend_on():
    first = faults.folder_of(("test_cost.py",), ["--seeds", "0"])
    assert first == faults.folder_of(("test_cost.py",), ["--seeds", "0"])
    assert first != faults.folder_of(("test_cost.py",), ["--seeds", "1"])
    assert first != faults.folder_of(("test_methods.py",), ["--seeds", "0"])


def test_two_faults_are_caught_from_end_to_end_and_their_runs_become_no_baseline(tmp_path, monkeypatch):
    monkeypatch.setattr(faults, "RUNS", tmp_path)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    said = []
    for name in IN_CI:
        found = try_fault(read_fault(name), said.append)
        assert found.how == ALONE, row(found)
    assert len(said) == len(IN_CI) + 1  # sessions
    again = try_fault(read_fault(name), said.append)
    assert (again, len(said)) == (found, len(IN_CI) + 1)
    (run,) = tmp_path.glob(f"faults/*/{name}-*/*/records.jsonl")
    with pytest.raises(Refused, match=rf"its libraries are broken on purpose \(bench.upgrade.planting:plant {name}\)"):
        accept(run.parent, "it is quicker")


@pytest.mark.slow
@pytest.mark.parametrize("name", fault_names())
def test_a_fault_is_caught_as_the_page_says(name):
    """All faults take a quarter of an hour: python -m pytest tests/upgrade/test_faults.py -m slow."""
    assert list(map(for_markdown, row(try_fault(read_fault(name), print)))) == rows()[name]


def rows():
    """The page's table: fault -> its cells."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    cells = [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in lines]
    assert tuple(cells[0]) == HEADINGS
    return {row[0]: row for row in cells[1:]}


def test_the_page_has_every_fault_with_what_its_file_says():
    files = {name: read_fault(name) for name in fault_names()}
    said = {
        for_markdown(name): [for_markdown(one.says), for_markdown(one.modelled_on.rstrip("."))]
        for name, one in files.items()
    }
    assert {name: cells[2:4] for name, cells in rows().items()} == said


def test_the_page_names_a_check_for_every_fault():
    assert [name for name, cells in rows().items() if cells[4:] == [NOTHING, NOTHING]] == []


def test_the_guide_names_every_fault_that_no_test_or_no_comparison_catches():
    """In the section on what a comparison cannot see."""
    guide = (ROOT / "docs" / "upgrades.md").read_text(encoding="utf-8")
    blind = guide.partition("## What it cannot see\n")[2].partition("\n## ")[0]
    named = {name for name, cells in rows().items() if cells[1] != ALONE}
    assert {name.strip("`") for name in re.findall(r"`\w+`", blind)} >= {name.replace("\\_", "_") for name in named}
