"""The choice of tests to run: a test that cannot run here, or is not selected, is deselected and summed up.

A thousand skips hide the one that matters. So a test whose case this machine cannot run, or that nobody selected, is
deselected as by `-k` and `-m`, and the summary has one line for each need. With --collect-only all tests are listed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import pytest

from bench.core.case import Case
from bench.core.paths import SUITES
from bench.plugin.hooks import RUN, case_of
from bench.plugin.session import Run

CARD, ROOM, RECORD, SLOW = "card", "room", "record", "slow"
XDIST = (
    "pytest-xdist's processes would each run every case, beside each other, on this machine; "
    "leave -n out, or set it to 0, and give --workers N to run N cases at a time"
)


@dataclass
class Group:
    """The tests that are deselected for one need; reason is the first case's."""

    reason: str
    tests: int = 0
    cases: set[Case] = field(default_factory=set)


@dataclass
class Deselected:
    """The deselected tests of a session, by need."""

    groups: dict[str, Group] = field(default_factory=dict)
    selects: str = ""  # the option -m that selects slow tests
    of_cases: bool = False  # whether any test of a case remains selected
    listed: bool = False  # --collect-only: nothing was deselected; this lists what would be
    unmet: tuple[str, ...] = ()  # named devices that no case can run on

    def add(self, need: str, reason: str, case: Case | None) -> None:
        group = self.groups.setdefault(need, Group(reason))
        group.tests += 1
        group.cases |= {case} if case else set()

    def cases(self, need: str) -> set[Case]:
        """The cases that were deselected for this need."""
        return self.groups[need].cases if need in self.groups else set()

    def lines(self) -> list[str]:
        """One line for each need."""
        would = "would be " if self.listed else ""
        return [f"{would}deselected: {count_text(group)}: {self.says(need)}" for need, group in self.groups.items()]

    def says(self, need: str) -> str:
        """What the tests need, and which option selects them."""
        group = self.groups[need]
        first = "" if len(group.cases) == 1 else "the first "
        return {
            CARD: f"{group.reason}; where there is one, -m gpu selects them",
            ROOM: f"{first}{group.reason}; --attempt runs them anyway",
            RECORD: f"{first}{group.reason}",
            SLOW: f"{group.reason}; {self.selects} selects them",
        }[need]


DESELECTED = pytest.StashKey[Deselected]()


def count_text(group: Group) -> str:
    tests = f"{group.tests:,} test{'s' if group.tests > 1 else ''}"
    cases = f" of {len(group.cases):,} case{'s' if len(group.cases) > 1 else ''}" if group.cases else ""
    return tests + cases


@pytest.hookimpl(trylast=True)  # after pytest-xdist has settled its options
def pytest_configure(config: pytest.Config) -> None:
    """Raise pytest.UsageError for the suites in xdist's processes: this process does not collect them itself."""
    if is_distributed(config) and any(holds_suites(config, argument) for argument in config.args):
        raise pytest.UsageError(XDIST)


def holds_suites(config: pytest.Config, argument: str) -> bool:
    """Whether this argument selects tests of the suites."""
    path = (config.invocation_params.dir / argument.split("::")[0]).resolve()
    return path == SUITES or SUITES in path.parents or path in SUITES.parents


@pytest.hookimpl(trylast=True)  # after -k and -m, so that only tests that they leave are summed up
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests that do not run. Raises pytest.UsageError for cases in xdist's processes."""
    run = config.stash[RUN]
    if is_distributed(config) and any(case_of(item) for item in items):
        raise pytest.UsageError(XDIST)
    expression = config.option.markexpr
    found = Deselected(selects=f'-m "({expression}) and slow"' if expression else "-m slow")
    found.listed = config.option.collectonly
    asked_slow = "slow" in expression or run.options.replay is not None
    need_of_case = cache(lambda case: need_of(run, case))
    kept: list[pytest.Item] = []
    gone: list[pytest.Item] = []
    for item in items:
        case = case_of(item)
        need, reason = need_of_case(case) if case else ("", "")
        if not need and not asked_slow and item.get_closest_marker("slow"):
            need, reason = SLOW, "of paper size, or beyond the smoke run"
        if need:
            found.add(need, reason, case)
        (gone if need or has_no_parameter(item) else kept).append(item)
    found.unmet = unmet_devices(run, kept, gone)
    found.of_cases = any(case_of(item) for item in kept)
    config.stash[DESELECTED] = found
    if gone and not found.listed:
        config.hook.pytest_deselected(items=gone)
        items[:] = kept


def need_of(run: Run, case: Case) -> tuple[str, str]:
    """What the case lacks on this machine, as a need and a reason; two empty texts if it can run."""
    reason = run.cannot_run(case)
    if not reason:
        return "", ""
    if run.options.replay:
        return RECORD, reason
    has_cards = any(node.cards for node in run.resources())
    return (ROOM, f"{case.id}: {reason}") if has_cards else (CARD, reason)


def unmet_devices(run: Run, kept: Sequence[pytest.Item], gone: Sequence[pytest.Item]) -> tuple[str, ...]:
    """The devices whose cases were all deselected, among those that --devices names."""
    left, lost = ({case.device for item in items if (case := case_of(item))} for items in (kept, gone))
    return tuple(device for device in run.options.selection.devices if device in lost - left)


def is_distributed(config: pytest.Config) -> bool:
    """Whether pytest-xdist runs the tests in several processes; this may be one of them."""
    return getattr(config.option, "dist", "no") != "no" or hasattr(config, "workerinput")


def has_no_parameter(item: pytest.Item) -> bool:
    """Whether pytest made the item as a placeholder for an empty list of parameters."""
    reasons = [str(mark.kwargs.get("reason", "")) for mark in item.iter_markers("skip")]
    return any(reason.startswith("got empty parameter set") for reason in reasons)
