"""The plugin of `--baseline RUN`: each case compared with the baseline, for test_regression.py and test_speed.py.

Without a baseline the tests that compare with one are not collected, because a skip for each would tell nothing.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.core.case import Case
from bench.core.registry import first_few
from bench.judge.compare.finding import INCONCLUSIVE, NEW, TIME, Finding
from bench.judge.compare.runs import Options, compare_case, pairs_of
from bench.judge.compare.seeds import compare_quality, groups_of
from bench.judge.compare.sides import Side, read_side, repeats_of
from bench.judge.compare.timing import MOST_CASES, SECONDS_OF_STEP, compare_processes
from bench.plan.options import Options as SessionOptions
from bench.plan.selection import Selection
from bench.plugin.hooks import OPTIONS, case_of, needs_record, progress_on_terminal
from bench.plugin.selecting import DESELECTED, SLOW
from bench.records.record import BadRecord, Record

SUITE = "test_regression.py"
BASELINE = pytest.StashKey[Side]()
SESSION = "this session"


@pytest.hookimpl(trylast=True)  # after the options are read
def pytest_configure(config: pytest.Config) -> None:
    folder = config.stash[OPTIONS].baseline
    if folder is None:
        return
    try:
        side = read_side(folder)
    except BadRecord as error:
        raise pytest.UsageError(f"--baseline: {error}") from None
    if failed := [record.case for record in side.records.values() if not record.ok]:
        raise pytest.UsageError(
            f"--baseline {side.name}: {first_few(failed, 1)} did not end well there, and a failed run is no baseline; "
            "give a run whose cases all ended well"
        )
    config.stash[BASELINE] = side


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Ignore the suite without a baseline, instead of skipping a test for each case."""
    return True if collection_path.name == SUITE and BASELINE not in config.stash else None


@pytest.hookimpl(tryfirst=True)  # before deselected tests are counted
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of seconds without a baseline; the rest of their suite needs none."""
    if BASELINE not in config.stash:
        items[:] = [item for item in items if not compares_seconds(item)]


def compares_seconds(item: pytest.Item) -> bool:
    return "seconds_finding" in getattr(item, "fixturenames", ())


@pytest.fixture
def baseline(pytestconfig: pytest.Config) -> Side:
    if BASELINE not in pytestconfig.stash:
        raise pytest.UsageError(f"{SUITE} compares with a baseline; give --baseline RUN")
    return pytestconfig.stash[BASELINE]


@pytest.fixture
def findings(
    case: Case, record: Record, baseline: Side, request: pytest.FixtureRequest, pytestconfig: pytest.Config
) -> Callable[[str], list[Finding]]:
    """A function that returns the case's findings of one kind; quality is judged over all seeds of the session."""
    seeds = seeds_of(case, request.session)
    with progress_on_terminal(pytestconfig) as run:
        records = {one.id: run.record(one) for one in seeds}
    after = Side(SESSION, run.folder or Path(), {case.id: record})
    whole = Side(SESSION, run.folder or Path(), records)
    cases = len({one.rsplit("-", 1)[0] for one in cases_here(request.session) & baseline.records.keys()})
    options = Options(allow_commit=pytestconfig.stash[OPTIONS].allow_commit)

    def of_kind(kind: str) -> list[Finding]:
        found = list(compare_case(case.id, baseline, after, options))
        own = {one.id for one in seeds}
        pairs = [pair for pair in pairs_of(baseline, whole, options) if pair[0].record.case in own]
        groups = groups_of(pairs, runs=(baseline.records, records))
        return [one for one in [*found, *compare_quality(groups, cases)] if one.kind == kind]

    return of_kind


@pytest.fixture
def seconds_finding(
    case: Case, record: Record, baseline: Side, request: pytest.FixtureRequest, pytestconfig: pytest.Config
) -> Finding:
    """The seconds of the case's steps over all processes of both runs; the timed cases are judged together."""
    items = filter(compares_seconds, request.session.items)
    timed = list(dict.fromkeys(one for item in items if (one := case_of(item))))
    if case.id not in baseline.records:
        return Finding(case.id, TIME, NEW, SECONDS_OF_STEP, f"the baseline {baseline.name} has no such case")
    if len(timed) > MOST_CASES:
        says = f"{len(timed)} cases are timed, and of more than {MOST_CASES} too many would be falsely red; name fewer"
        return Finding(case.id, TIME, INCONCLUSIVE, SECONDS_OF_STEP, says)
    with progress_on_terminal(pytestconfig) as run:
        records = {one.id: run.record(one) for one in timed}
    session = Side(SESSION, run.folder or Path(), records)
    both = [one.id for one in timed if one.id in baseline.records]
    found = compare_processes({name: (repeats_of(baseline, name), repeats_of(session, name)) for name in both})
    return next(one for one in found if (one.case, one.figure) == (case.id, SECONDS_OF_STEP))


def cases_here(session: pytest.Session) -> set[str]:
    """Ids of the cases that the session runs."""
    return {one.id for item in session.items if needs_record(item) and (one := case_of(item))}


def seeds_of(case: Case, session: pytest.Session) -> list[Case]:
    """The cases of the session that differ from this one only in their seed, including itself."""
    cases = dict.fromkeys(one for item in session.items if needs_record(item) and (one := case_of(item)))
    return [one for one in cases if one.id.rsplit("-", 1)[0] == case.id.rsplit("-", 1)[0]]


@pytest.fixture
def missing_cases(baseline: Side, request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> list[str]:
    """Cases of the baseline that the command line selects but the session does not run."""
    options: SessionOptions = pytestconfig.stash[OPTIONS]
    here = cases_here(request.session)
    slow = {one.id for one in pytestconfig.stash[DESELECTED].cases(SLOW)}
    everything = options.replay and options.selection == Selection()
    wanted = [record.parsed_case() for record in baseline.records.values()]
    return [
        one.id for one in wanted
        if one.id not in here and one.id not in slow and (everything or selects(options.selection, one))
    ]  # fmt: skip


def selects(selection: Selection, case: Case) -> bool:
    """Whether the names on the command line select the case."""
    parts = {"tasks": case.task, "models": case.model, "methods": case.method, "devices": case.device}
    named = all(not getattr(selection, field) or part in getattr(selection, field) for field, part in parts.items())
    return named and case.seed in selection.seeds
