"""Claims as pytest parameters, and their verdicts, judged once a session."""

from pathlib import Path

import pytest

from bench.judge.claims.book import read_claims
from bench.judge.claims.gathering import gather
from bench.judge.claims.verdicts import judge_all
from bench.judge.verdict import Verdict
from bench.plugin.hooks import OPTIONS, progress_on_terminal
from bench.records.stored_runs import committed_runs


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `claim` runs once for each claim of fixtures/claims."""
    if "claim" not in metafunc.fixturenames:
        return
    try:
        claims = read_claims()
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    metafunc.parametrize("claim", claims.values(), ids=claims)


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
