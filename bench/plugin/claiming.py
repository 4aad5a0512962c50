"""Claims and watched predictions as pytest parameters, as far as they speak of selected cases; and claims' verdicts.

Somebody who runs two cases has no use for the claims about all others. So with --tasks, --models or --methods only
those claims are tested that are about a selected case.
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

Side = tuple[str, str, str]  # task, model and method that something is about; OPEN where it is about any
OPEN = (NONE, UNSTATED)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `claim` or `watched` runs once for each that speaks of a selected case."""
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
    """Task, model and method of each selected case; None where no option narrows them."""
    if not (selection.tasks or selection.models or selection.methods):
        return None
    return {(case.task, case.model, case.method) for case in all_cases(selection)}


def sides_of(claim: Claim) -> Iterator[Side]:
    """What the claim is about: its protocol, and each case or method that it compares."""
    protocol = claim.protocol
    model = claim.by.get("model") or claim.by.get("config") or NONE  # of a calculation
    yield protocol.task, model if protocol.model in OPEN else protocol.model, protocol.method
    for key in ("case", "against"):
        if key in claim.by:
            case = parse_case(f"{claim.by[key]}-s0")
            yield case.task, case.model, case.method
    for key in ("method", "as_method"):
        if key in claim.by:
            yield NONE, model, claim.by[key]


def speaks_of(sides: Collection[Side] | Iterator[Side], chosen: Collection[Side] | None) -> bool:
    """Whether any side is about a chosen case; what is about no task, model or method at all speaks of none."""
    if chosen is None:
        return True
    return any(matches(side, case) for side in sides for case in chosen)


def matches(side: Side, case: Side) -> bool:
    parts = [(part, own) for part, own in zip(side, case, strict=True) if part not in OPEN]
    return bool(parts) and all(part == own for part, own in parts)


@pytest.fixture(scope="session")
def replayed(pytestconfig: pytest.Config) -> bool:
    """Whether one run alone is judged, which may hold too few seeds for a claim."""
    return pytestconfig.stash[OPTIONS].replay is not None


@pytest.fixture(scope="session")
def verdicts(pytestconfig: pytest.Config) -> dict[str, Verdict]:
    """The verdict on every claim, by the run of --replay or by all committed runs; nothing is trained."""
    options = pytestconfig.stash[OPTIONS]
    runs: list[Path] = [options.replay] if options.replay else committed_runs()
    claims = read_claims()
    with progress_on_terminal(pytestconfig) as run:
        evidence, complaints = gather(claims, runs, options.entries)
        run.complaints += complaints
    return judge_all(claims.values(), evidence)
