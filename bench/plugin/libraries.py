"""The checks of the libraries' own ways: tiny models as parameters, a worker that answers, and known faults.

Options select these checks as they select cases: --models and --methods by name, --tasks by the kind of model that the
task is for, --devices by whether the processor is among them.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bench.executor import CallFailed, Session, WorkerDied
from bench.judge.known_faults import read_known_faults
from bench.machine.environment import library_versions
from bench.models import MODELS
from bench.plan.selection import Selection
from bench.plugin.hooks import OPTIONS, progress_on_terminal
from bench.records.tested import short_name
from bench.tasks import TASKS

DEVICE = "cpu"
USUAL_METHOD = "lora"  # of a check that names none

Check = Callable[..., dict[str, Any]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with the marker `subjects` once for each of its models, and of its methods, that is selected."""
    marker = metafunc.definition.get_closest_marker("subjects")
    if marker is None:
        return
    methods = marker.kwargs.get("methods", (USUAL_METHOD,))
    selection = metafunc.config.stash[OPTIONS].selection
    found = [(model, method) for model in marker.args for method in methods if selects(selection, model, method)]
    if "method" in metafunc.fixturenames:
        metafunc.parametrize(("model", "method"), found, ids=["-".join(pair) for pair in found])
    else:
        metafunc.parametrize("model", [model for model, _ in found], ids=[model for model, _ in found])


def selects(selection: Selection, model: str, method: str) -> bool:
    """Whether the command line leaves checks of this tiny model with this method; with no options it leaves all."""
    if selection.devices and DEVICE not in selection.devices:
        return False
    if selection.tasks and not any(TASKS[task].suits(MODELS[model]) for task in selection.tasks):
        return False
    return (not selection.models or model in selection.models) and (
        not selection.methods or method in selection.methods
    )


@pytest.hookimpl(tryfirst=True)  # before other plugins deselect, so that every test that is left has its mark
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests as expected to fail if an installed version has a known fault, and as failed if they pass."""
    try:
        faults = read_known_faults()
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    present = [fault for fault in faults if fault.applies_to(library_versions())]
    by_test = {test: fault for fault in present for test in fault.tests}
    for item in items:
        if fault := by_test.get(short_name(item.nodeid, "")):
            # a check that raises ends in pytest.fail, one whose figures are wrong in an assertion
            expected = pytest.fail.Exception if fault.raises else AssertionError
            item.add_marker(pytest.mark.xfail(raises=expected, strict=True, reason=fault.sentence()))


class Worker:
    """The worker of all checks, opened at the first one, and again after a check that ended it."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.session: Session | None = None

    def figures(self, check: str, **arguments: Any) -> dict[str, Any]:
        """The figures of a check. A check that raises, or ends its worker, fails the test with a sentence."""
        said = ", ".join(f"{name} = {value}" for name, value in arguments.items())
        try:
            with progress_on_terminal(self.config) as run:
                self.session = self.session or run.open_checks()
                found: dict[str, Any] = self.session.call(check, **arguments)
            return found
        except WorkerDied as error:
            self.session = None
            pytest.fail(f"the check {check} ({said}) ended its worker: {error}", pytrace=False)
        except CallFailed as error:
            pytest.fail(
                f"the check {check} ({said}) raised {error}; expected figures to compare; does this version of "
                "transformers, peft or bitsandbytes refuse what others accept?", pytrace=False,
            )  # fmt: skip

    def close(self) -> None:
        if self.session:
            self.session.close()


@pytest.fixture(scope="module")
def checks(pytestconfig: pytest.Config) -> Iterator[Worker]:
    """The worker, which is closed after the module's last test: while it is open no case runs."""
    worker = Worker(pytestconfig)
    try:
        yield worker
    finally:
        worker.close()


@pytest.fixture
def check(checks: Worker, pytestconfig: pytest.Config) -> Check:
    """A function that runs a check by name in the worker and returns its figures."""
    if pytestconfig.stash[OPTIONS].replay:
        pytest.skip("--replay runs nothing; the checks of the libraries need no record, run them without it")
    return checks.figures
