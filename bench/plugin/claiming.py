"""Claims and watched predictions about the selected cases, as pytest parameters, and the claims' verdicts.

A user who runs two cases does not need the claims about all others. So with --tasks, --models or --methods, only claims
about a selected case are tested.
"""

from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from bench.core.case import parse_case
from bench.judge.claims.book import read_claims
from bench.judge.claims.claim import NONE, UNSTATED, Claim
from bench.judge.claims.gathering import gather
from bench.judge.claims.verdicts import judge_all
from bench.judge.predictions.growth import WATCHED
from bench.judge.verdict import Verdict
from bench.plan.selection import Selection, all_cases
from bench.plugin.hooks import OPTIONS, progress_on_terminal
from bench.records.stored_runs import committed_runs

Side = tuple[str, str, str]  # the task, model and method that something is about; OPEN if it is about any
OPEN = (NONE, UNSTATED)
VERDICTS = pytest.StashKey[dict[str, Verdict]]()  # of every claim, once they are judged


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with the argument `claim` or `watched` once for each one that is about a selected case."""
    chosen = chosen_sides(metafunc.config.stash[OPTIONS].selection)
    if "watched" in metafunc.fixturenames:
        found = [one for one in WATCHED if speaks_of([(NONE, one.model, one.method)], chosen)]
        metafunc.parametrize("watched", found, ids=[one.id for one in found])
    if "claim" in metafunc.fixturenames:
        try:
            claims = read_claims()
        except ValueError as error:
            raise pytest.UsageError(str(error)) from None
        about = [claim for claim in claims.values() if speaks_of(sides_of(claim), chosen)]
        metafunc.parametrize("claim", about, ids=[claim.id for claim in about])


def chosen_sides(selection: Selection) -> Collection[Side] | None:
    """Task, model and method of each selected case; None if no option narrows the selection."""
    if not (selection.tasks or selection.models or selection.methods):
        return None
    return {(case.task, case.model, case.method) for case in all_cases(selection)}


def sides_of(claim: Claim) -> Iterator[Side]:
    """The sides that the claim is about: its protocol, and each case or method that it compares."""
    protocol = claim.protocol
    model = claim.by.get("model") or claim.by.get("config") or NONE  # for a calculation
    yield protocol.task, model if protocol.model in OPEN else protocol.model, protocol.method
    for key in ("case", "against"):
        if key in claim.by:
            case = parse_case(f"{claim.by[key]}-s0")
            yield case.task, case.model, case.method
    for key in ("method", "as_method"):
        if key in claim.by:
            yield NONE, model, claim.by[key]


def speaks_of(sides: Collection[Side] | Iterator[Side], chosen: Collection[Side] | None) -> bool:
    """Whether any side is about a chosen case; False for a claim about no task, model or method at all."""
    if chosen is None:
        return True
    return any(matches(side, case) for side in sides for case in chosen)


def matches(side: Side, case: Side) -> bool:
    parts = [(part, own) for part, own in zip(side, case, strict=True) if part not in OPEN]
    return bool(parts) and all(part == own for part, own in parts)


@pytest.fixture(scope="session")
def replayed(pytestconfig: pytest.Config) -> bool:
    """Whether only one run is judged, which may have too few seeds for a claim."""
    return pytestconfig.stash[OPTIONS].replay is not None


@pytest.fixture(scope="session")
def verdicts(pytestconfig: pytest.Config) -> dict[str, Verdict]:
    """The verdict on every claim, from the run of --replay or from all committed runs; nothing is trained."""
    options = pytestconfig.stash[OPTIONS]
    runs: list[Path] = [options.replay] if options.replay else committed_runs()
    claims = read_claims()
    with progress_on_terminal(pytestconfig) as run:
        evidence, complaints = gather(claims, runs, options.entries)
        run.complaints += complaints
    pytestconfig.stash[VERDICTS] = judged = judge_all(claims.values(), evidence)
    return judged
