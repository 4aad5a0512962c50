"""Baselines: accepted with a reason, and never a red, partial, dirty or failed run."""

import json
from dataclasses import replace

import pytest
from compared_runs import POS, SUPPORT, committed, run_of, seeds_of

from bench.__main__ import main
from bench.judge.compare import baselines
from bench.judge.compare.baselines import Refused, accept, release_of
from bench.judge.compare.finding import INCOMPARABLE, MISSING
from bench.judge.compare.runs import Options, compare_runs
from bench.judge.compare.sides import read_side
from bench.records import stored_runs
from bench.records.record import FAILED, read_records
from bench.records.stored_runs import find_run
from bench.records.tested import CaseTests, write_tested

SMOKE = committed()
RECORDS = [
    replace(SMOKE[case], environment={**SMOKE[case].environment, "capability": "AVX512"}) for case in (POS, SUPPORT)
]
PASSED = CaseTests(True, 0, {case: {"test_cost.py::test_adapter_bytes": "passed"} for case in (POS, SUPPORT)})


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    for module in (baselines, stored_runs):
        monkeypatch.setattr(module, "BASELINES", tmp_path / "gate")
    return tmp_path / "gate"


@pytest.fixture
def make(tmp_path):
    def make_run(name="run", records=RECORDS, tested=PASSED):
        folder = run_of(tmp_path / name, records)
        if tested:
            write_tested(folder, tested)
        return folder

    return make_run


def with_memory(factor):
    first = RECORDS[0]
    size = round(first.exact["step_allocated_bytes"] * factor)
    return [replace(first, exact={**first.exact, "step_allocated_bytes": size}), RECORDS[1]]


def test_a_run_that_passed_is_kept_with_its_reason_and_is_found(make, place):
    kept = accept(make(), "the first one")
    assert kept == place / "avx512" / "newest"
    about = json.loads((kept / "run.json").read_text(encoding="utf-8"))["accepted"]
    assert (about["why"], about["run"], about["despite"]) == ("the first one", "run", [])
    assert find_run("accepted") == kept
    assert list(read_records(kept / "records.jsonl")[0]) == [POS, SUPPORT]
    assert (kept / "predictions" / f"{POS}.jsonl").exists()
    assert read_side(kept).name == "run (accepted)"
    assert {one.state for one in compare_runs(read_side(kept), read_side(make("again"))).findings} == {"same"}


REFUSED = {
    "failed": ({"records": [replace(RECORDS[0], status=FAILED), RECORDS[1]]}, f"{POS} \\(failed\\) did not end well"),
    "red": (
        {"tested": CaseTests(True, 1, {**PASSED.by_case, POS: {"test_a": "failed"}})}, f"it is red: test_a of {POS} \\(failed\\)",
    ),
    "interrupted": ({"tested": replace(PASSED, finished=False, exit_code=2)}, "its session was interrupted"),
    "narrowed": (
        {"tested": PASSED.with_earlier(CaseTests(False, 2, {"other": {"test_a": "not run"}}))},
        "interrupted before all tests of other; finish it with .*--resume and the same selection",
    ),
    "red before": (
        {"tested": PASSED.with_earlier(CaseTests(True, 1, {POS: {"test_a": "failed"}}))}, f"it is red: test_a of {POS}",
    ),
    "red outside cases": ({"tested": replace(PASSED, others={"test_claim[x]": "failed"})}, r"it is red: test_claim\[x\]"),
    "stale": ({"tested": replace(PASSED, others={"test_a": "xpassed"})}, r"it is red: test_a \(xpassed\)"),
    "another exit code": ({"tested": replace(PASSED, exit_code=1)}, "ended with exit code 1"),
    "untested": ({"tested": CaseTests(True, 0, {POS: PASSED.by_case[POS]})}, f"no test judged {SUPPORT}"),
    "older": ({"tested": None}, "does not say how its tests ended"),
    "dirty": (
        {"records": [replace(one, environment={**one.environment, "dirty": True}) for one in RECORDS]}, "in no commit",
    ),
    "two versions": (
        {"records": [RECORDS[0], replace(RECORDS[1], environment={**RECORDS[1].environment, "commit": "other"})]},
        "two versions of lorabench",
    ),
    "two stacks": (
        {"records": [RECORDS[0], replace(RECORDS[1], environment={**RECORDS[1].environment, "libraries": {}})]},
        "two sets of libraries",
    ),
    "two machines": (
        {"records": [RECORDS[0], replace(RECORDS[1], environment={**RECORDS[1].environment, "threads": 7})]},
        r"two machines \(threads 2, now 7\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_run_that_is_no_baseline_is_refused_in_one_sentence(what, make, place):
    given, says = REFUSED[what]
    with pytest.raises(Refused, match=f"^run cannot become a baseline: .*{says}"):
        accept(make(**given), "why not")
    assert not place.exists()


def test_a_run_with_a_known_fault_of_a_library_is_accepted(make):
    assert accept(make(tested=replace(PASSED, others={"test_a": "xfailed"})), "transformers 5.23").is_dir()


def test_a_run_with_a_planted_fault_is_refused_and_one_with_a_users_own_module_is_not(make):
    folder = make()
    (folder / "run.json").write_text(json.dumps({"entries": ["my_methods"]}), encoding="utf-8")
    assert accept(folder, "with a method of our own").is_dir()
    planted = {"entries": ["my_methods", f"{baselines.PLANTS_A_FAULT} alpha_off"]}
    (folder / "run.json").write_text(json.dumps(planted), encoding="utf-8")
    with pytest.raises(
        Refused, match=r"its libraries are broken on purpose \(bench.upgrade.planting:plant alpha_off\)"
    ):
        accept(folder, "it is quicker")


def test_a_reason_is_needed(make):
    with pytest.raises(Refused, match="--why is empty"):
        accept(make(), " ")


def test_a_run_that_is_worse_than_the_baseline_is_refused_unless_the_figure_is_named(make):
    accept(make(), "first")
    worse = make("worse", with_memory(1.02))
    with pytest.raises(Refused, match="worse cannot replace the baseline: .*--despite step_allocated_bytes$"):
        accept(worse, "a cache more")
    kept = accept(worse, "a cache more", despite=["step_allocated_bytes"])
    assert json.loads((kept / "run.json").read_text(encoding="utf-8"))["accepted"]["despite"] == [
        "step_allocated_bytes"
    ]


def test_a_run_that_lacks_a_case_of_the_baseline_is_refused(make):
    accept(make(), "first")
    part = make("part", RECORDS[:1], CaseTests(True, 0, {POS: PASSED.by_case[POS]}))
    with pytest.raises(Refused, match=f"{SUPPORT} status {MISSING}"):
        accept(part, "a part")


def test_small_steps_that_each_are_allowed_show_against_the_last_release(make, capsys):
    """Three times 0.4 % are more than half a percent."""
    accept(make(), "release", release=True)
    for step in range(1, 3):
        kept = accept(make(f"step{step}", with_memory(1.004**step)), f"step {step}")
    last = make("last", with_memory(1.004**3))
    assert {one.state for one in compare_runs(read_side(kept), read_side(last)).findings} == {"same", "changed"}
    assert release_of(kept) == kept.parent / "release"
    assert main(["compare", "accepted", str(last)]) == 1
    out, err = capsys.readouterr()
    assert "worse" not in out
    assert err.startswith("with the last release: 2 cases: 1 worse, 1 same")
    assert "step_allocated_bytes" in err


def test_the_command_says_what_to_commit(make, capsys):
    assert main(["baseline", "accept", str(make()), "--why", "a first one"]) == 0
    assert "git add -f" in capsys.readouterr().out


def test_the_command_refuses_in_one_sentence(make, capsys):
    assert main(["baseline", "accept", str(make(tested=None)), "--why", "x"]) == 2
    assert capsys.readouterr().err.startswith(
        "bench: run cannot become a baseline: it does not say how its tests ended"
    )


def test_without_a_baseline_its_name_says_how_to_make_one(capsys):
    assert main(["compare", "accepted", "smoke"]) == 2
    assert "python -m bench baseline accept RUN" in capsys.readouterr().err


def test_allowing_another_commit_accepts_a_newer_version(make):
    accept(make(), "first")
    newer = [replace(one, environment={**one.environment, "commit": "newer"}) for one in RECORDS]
    kept = accept(make("newer", newer), "a newer version")
    assert {record.environment["commit"] for record in read_side(kept).records.values()} == {"newer"}
    states = {one.state for one in compare_runs(read_side(kept), read_side(make("older")), Options()).findings}
    assert states == {INCOMPARABLE}


def test_a_run_that_cannot_be_compared_with_the_baseline_does_not_replace_it_unless_that_is_meant(make):
    accept(make(), "first")
    other = make("other", [replace(one, recipe_digest="other") for one in RECORDS])
    with pytest.raises(Refused, match="other cannot replace the baseline: .*recipe differs.*--despite status$"):
        accept(other, "fewer steps")
    kept = accept(other, "fewer steps", despite=["status"])
    assert json.loads((kept / "run.json").read_text(encoding="utf-8"))["accepted"]["despite"] == ["status"]


def parted(by):
    """The runs' first case with three seeds, whose losses parted and whose F1 moved."""
    values = (0.900, 0.901, 0.899)
    records = seeds_of(RECORDS[0], values, "f1")
    return [
        replace(one, quality={**one.quality, "f1": value + by}, losses=[loss + by for loss in one.losses])
        for one, value in zip(records, values, strict=True)
    ]


@pytest.mark.parametrize(("by", "refused"), [(-0.01, True), (-0.001, False)])
def test_a_run_that_points_to_a_loss_of_quality_does_not_replace_the_baseline(by, refused, make):
    tested = CaseTests(True, 0, {record.case: {"test_a": "passed"} for record in parted(0.0)})
    accept(make("first", parted(0.0), tested), "first")
    lost = make("lost", parted(by), tested)
    if refused:
        with pytest.raises(Refused, match="f1 inconclusive.*--despite f1$"):
            accept(lost, "another optimizer")
    else:
        accept(lost, "another optimizer")


def test_a_baseline_whose_replacement_was_killed_is_put_back_and_compared_with(make):
    kept = accept(make(), "first")
    kept.rename(kept.with_name(f".{kept.name}.old"))
    with pytest.raises(Refused, match="step_allocated_bytes"):
        accept(make("worse", with_memory(1.02)), "a cache more")
    assert list(read_records(kept / "records.jsonl")[0]) == [POS, SUPPORT]
