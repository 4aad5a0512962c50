"""The grid of releases: which sets run, which share a run, and how an interrupted grid continues."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from compared_runs import POS, SUPPORT, committed, run_of

from bench.upgrade import matrix, trial
from bench.upgrade.compatibility import BREAKS, CONFLICT, OPEN, UNDECIDED, WORKS, as_json
from bench.upgrade.matrix import (
    NothingToCompare,
    grid_of,
    plan_cell,
    read_stored,
    resolve_together,
    run_cells,
    sets_of,
    table_of,
    time_left,
)
from bench.upgrade.overlays import CannotInstall, Conflict, Wanted
from bench.upgrade.requirements import Unmet
from bench.upgrade.trial import Stopped

RECORD = committed()[POS]
BROKEN = replace(RECORD, evidence={**RECORD.evidence, "reload_distance": 0.1})
RELEASES = {"transformers": ["5.24.0", "5.23.0"], "peft": ["0.21.2", "0.20.0"], "accelerate": ["1.15.0"]}
LACKS = Unmet("datasets", "5.2.0", "hub>=2", "1.33.0")
OURS = Unmet("lorabench", "0.2.0", "transformers>=5.17", "5.16.0")
TODAY = {"transformers": "5.23.0", "peft": "0.21.2", "accelerate": "1.15.0"}


@pytest.fixture
def sessions(monkeypatch, tmp_path):
    """A grid whose sessions store a record at once: transformers 5.24 is broken. The names of the sides that ran."""
    ran = []

    def run_side(side, folder, selection, say, suites):
        ran.append(side.name)
        broken = any("transformers-5.24" in path.name for path in side.overlays)
        return run_of(folder / side.name / f"20261130T12000{len(ran)}", [BROKEN if broken else RECORD])

    monkeypatch.setattr(matrix, "RUNS", tmp_path)
    monkeypatch.setattr(trial, "run_side", run_side)
    monkeypatch.setattr(matrix, "resolve", lambda python, words: wanted_of(words))
    monkeypatch.setattr(matrix, "install", lambda python, one: Path(f"{one.name}-{one.version}"))
    monkeypatch.setattr(matrix, "import_path", lambda python: [])
    monkeypatch.setattr(matrix, "unmet", lambda folders: set())
    monkeypatch.setattr(matrix, "version_of", lambda python, name: TODAY.get(name))
    return ran


def wanted_of(words):
    """What pip would install: what differs from today."""
    pairs = [word.split("==") for word in words]
    return [Wanted(name, version, "abc") for name, version in pairs if TODAY[name] != version]


def silent(text="", *_):
    pass


def run_grid(releases=RELEASES):
    """The table after one command."""
    grid = grid_of(Path("python"), ("--quiet",))
    plans = [plan_cell(grid, packages) for packages in sets_of(releases)]
    return table_of(grid, plans, run_cells(grid, plans, silent, silent), "python -m bench matrix")


def states(table):
    return {" ".join(cell.packages.values()): cell.state for cell in table.cells}


def test_sets_are_pairs_and_single_releases_with_the_newest_first():
    assert [list(one.values()) for one in sets_of(RELEASES)] == [
        ["5.24.0", "0.21.2"], ["1.15.0"], ["5.24.0", "0.20.0"], ["5.23.0", "0.21.2"], ["5.23.0", "0.20.0"],
    ]  # fmt: skip
    assert sets_of({"accelerate": ["1.15.0", "1.14.0"]}) == [{"accelerate": "1.15.0"}, {"accelerate": "1.14.0"}]
    assert sets_of({"peft": ["0.21.2"]}) == [{"peft": "0.21.2"}]


def test_every_set_is_compared_with_today_and_equal_environments_share_a_run(sessions):
    table = run_grid()
    assert states(table) == {
        "5.24.0 0.21.2": BREAKS, "5.24.0 0.20.0": BREAKS, "5.23.0 0.21.2": WORKS, "5.23.0 0.20.0": WORKS, "1.15.0": WORKS,
    }  # fmt: skip
    assert {one.figure for cell in table.cells for one in cell.red} == {"reload_distance"}
    assert sessions[0] == "today"
    assert len(sessions) == 4, "today's set, and the single release of today, are today's run"
    assert (table.date, table.cases) == ("2026-11-30", (POS,))


def test_the_same_command_measures_nothing_again_and_gives_the_same_table(sessions):
    first = run_grid()
    again = run_grid()
    assert len(sessions) == 4
    assert as_json(again) == as_json(first)


def test_a_set_whose_cases_cannot_be_compared_is_not_said_to_work(sessions, monkeypatch):
    """lorabench was edited while the grid ran."""
    finishes = trial.run_side
    other = replace(RECORD, recipe_digest="other", recipe={**RECORD.recipe, "rank": 99})

    def edited(side, folder, *rest, suites):
        return run_of(folder / side.name / "2026", [other]) if side.overlays else finishes(side, folder, *rest, suites)

    monkeypatch.setattr(trial, "run_side", edited)
    (cell,) = run_grid({"peft": ["0.20.0"]}).cells
    assert (cell.state, cell.why.startswith(f"{POS} status incomparable; ")) == (UNDECIDED, True)


def test_what_changes_and_is_not_worse_is_counted_by_figure(sessions, monkeypatch):
    today = replace(RECORD, noisy={**RECORD.noisy, "load_averages": [0.1, 0.1]})
    warned = replace(
        today,
        evidence={**RECORD.evidence, "reload_distance": 1e-7},
        warnings=[{"category": "FutureWarning", "module": "x", "text": "old"}],
    )
    monkeypatch.setattr(
        trial, "run_side",
        lambda side, folder, *_, suites: run_of(folder / side.name / "2026", [warned if side.overlays else today]),
    )  # fmt: skip
    (cell,) = run_grid({"peft": ["0.20.0"]}).cells
    assert (cell.state, cell.changed) == (WORKS, {"new: FutureWarning in x, old": 1, "reload_distance": 1})


def test_a_case_that_fails_today_too_is_nobodys_fault(sessions, monkeypatch):
    failed = replace(committed()[SUPPORT], status="failed", reason="no such file")
    monkeypatch.setattr(
        trial, "run_side", lambda side, folder, *_, suites: run_of(folder / side.name / "2026", [RECORD, failed])
    )
    assert states(run_grid({"peft": ["0.20.0"]})) == {"0.20.0": WORKS}


def test_an_interrupted_grid_continues_where_it_stopped(sessions, monkeypatch):
    finishes = trial.run_side

    def interrupted(side, *rest, suites):
        if len(sessions) == 2:
            raise KeyboardInterrupt
        return finishes(side, *rest, suites)

    monkeypatch.setattr(trial, "run_side", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_grid()
    monkeypatch.setattr(trial, "run_side", finishes)
    assert OPEN not in states(run_grid()).values()
    assert len(sessions) == len(set(sessions)) == 4


def test_a_grid_that_is_not_finished_says_what_was_not_run(sessions):
    grid = grid_of(Path("python"), ("--quiet",))
    plans = [plan_cell(grid, packages) for packages in sets_of(RELEASES)]
    with pytest.raises(NothingToCompare, match="no case ended well with today's packages"):
        table_of(grid, plans, {}, "")
    run_cells(grid, plans[:1], silent, silent)
    table = table_of(grid, plans, {}, "")
    assert states(table)["5.23.0 0.20.0"] == OPEN
    assert table.counts() == "5 sets of releases; works: 2, breaks: 1, not run: 2"


def test_other_suites_judge_the_stored_records_anew_and_other_code_measures_anew(sessions, monkeypatch):
    grid = grid_of(Path("python"), ())
    run_cells(grid, [], silent, silent)
    assert read_stored(grid, "today") is not None
    monkeypatch.setattr(matrix, "judging_digest", lambda: "other")
    assert read_stored(grid, "today") is None
    monkeypatch.setattr(matrix, "code_digest", lambda: "other")
    assert grid_of(Path("python"), ()).folder != grid.folder
    assert grid_of(Path("python"), ("--tasks", "pos")).folder != grid.folder


def test_what_contradicts_itself_is_said_in_pips_words_and_kept(sessions, monkeypatch):
    asked = []

    def refuses(python, words):
        asked.append(words)
        raise Conflict("a==1 cannot be installed: a 1 depends on b<2; the user requested b==2")

    monkeypatch.setattr(matrix, "resolve", refuses)
    for _ in range(2):
        (cell,) = run_grid({"peft": ["0.20.0"]}).cells
    assert (cell.state, cell.why) == (CONFLICT, "a==1 cannot be installed: a 1 depends on b<2; the user requested b==2")
    assert len(asked) == 1
    assert sessions == ["today"]


def test_a_set_that_pip_could_not_get_is_tried_again(sessions, monkeypatch):
    answers = matrix.resolve

    def unreachable(python, words):
        raise CannotInstall("peft==0.20.0 cannot be installed: the package index does not answer")

    monkeypatch.setattr(matrix, "resolve", unreachable)
    (cell,) = run_grid({"peft": ["0.20.0"]}).cells
    assert (cell.state, cell.why) == (OPEN, "peft==0.20.0 cannot be installed: the package index does not answer")
    monkeypatch.setattr(matrix, "resolve", answers)
    assert states(run_grid({"peft": ["0.20.0"]})) == {"0.20.0": WORKS}


def test_a_session_that_stops_leaves_its_cell_open_and_the_others_run(sessions, monkeypatch):
    finishes = trial.run_side

    def stops(side, *rest, suites):
        if any("transformers" in path.name for path in side.overlays):
            raise Stopped("the session ended with exit code 3; what it measured is kept in /a/folder", 3)
        return finishes(side, *rest, suites)

    monkeypatch.setattr(trial, "run_side", stops)
    table = run_grid()
    assert states(table)["5.23.0 0.20.0"] == WORKS
    (why,) = {cell.why for cell in table.cells if cell.state == OPEN}
    assert why == "the session of pytest suites ended with exit code 3"


def test_without_todays_run_nothing_else_runs(sessions, monkeypatch):
    def stops(*_, suites):
        raise Stopped("exit code 4", 4)

    monkeypatch.setattr(trial, "run_side", stops)
    with pytest.raises(Stopped):
        run_grid()


def test_a_package_that_would_lack_something_is_changed_too(sessions, monkeypatch):
    """pip looks at what it installs; datasets, which stays, needs another hub than transformers 5.17."""
    asked = []

    def resolve(python, words):
        asked.append(words)
        return [Wanted("hub", "1.33.0", "abc")]

    found = iter([{LACKS, OURS}, set(), {OURS}, set()])
    monkeypatch.setattr(matrix, "resolve", resolve)
    monkeypatch.setattr(matrix, "unmet", lambda folders: next(found))
    assert [str(one) for one in resolve_together(Path("python"), ["transformers==5.17.0"])] == ["hub 1.33.0"]
    assert asked == [["transformers==5.17.0"], ["transformers==5.17.0", "datasets"]]


def test_a_package_that_lacks_something_whatever_pip_takes_is_a_contradiction(sessions, monkeypatch):
    monkeypatch.setattr(matrix, "resolve", lambda python, words: [Wanted("hub", "1.33.0", "abc")])
    monkeypatch.setattr(matrix, "unmet", lambda folders: {LACKS} if folders else set())
    with pytest.raises(Conflict, match=r"^transformers==5.17.0 cannot be installed: datasets 5.2.0 needs hub>=2, and"):
        resolve_together(Path("python"), ["transformers==5.17.0"])


def test_progress_says_which_cell_it_is_and_the_time_left(sessions, monkeypatch):
    said = []
    clock = iter(range(0, 6000, 60))
    monkeypatch.setattr(trial, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    grid = grid_of(Path("python"), ())
    plans = [plan_cell(grid, packages) for packages in sets_of(RELEASES)]
    run_cells(grid, plans, said.append, silent)
    assert said == [
        "cell 1 of 4: today's packages",
        "cell 2 of 4: transformers 5.24.0, peft 0.21.2 (about 3 min left)",
        "cell 3 of 4: transformers 5.24.0, peft 0.20.0 (about 2 min left)",
        "cell 4 of 4: transformers 5.23.0, peft 0.20.0 (about 1 min left)",
    ]
    assert time_left(grid, []) == " (about 0 min left)"
