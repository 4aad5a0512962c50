"""The session's hooks and fixtures: options, cases as parameters, records for tests. conftest.py loads them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bench.core.case import Case
from bench.core.outside_text import for_terminal
from bench.judge.thresholds import Thresholds
from bench.machine.environment import describe_machine, machine_words
from bench.plan.options import Options
from bench.plan.selection import Selection, all_cases, is_smoke
from bench.plugin.exit_codes import NOT_STORED
from bench.plugin.ini import add_ini_lines
from bench.plugin.options import add_options, read_options
from bench.plugin.own import thresholds_of
from bench.plugin.progress import Progress
from bench.plugin.session import Run
from bench.plugin.unjudged import Unjudged, in_default_run, without_metric, without_weights
from bench.records.figures import FIGURES
from bench.records.probe_results import ProbeResults
from bench.records.record import FAILED, Record
from bench.records.run_folder import NotStored
from bench.tasks import TASKS

OPTIONS = pytest.StashKey[Options]()
RUN = pytest.StashKey[Run]()
THRESHOLDS = pytest.StashKey[Thresholds]()
PARAMETERS = pytest.StashKey[dict[Case, Any]]()
IN_JUNIT = ("peak_bytes", "allocated_bytes", "seconds_per_step")  # figures in the JUnit file
OUTCOMES = pytest.StashKey[dict[str, dict[str, str]]]()  # how this session's tests ended: case id -> test -> outcome
RUNNING = pytest.StashKey[tuple[str, Any]]()  # the running test, as pytest names it on the terminal


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    add_ini_lines(config)
    options = read_options(config)
    config.stash[OPTIONS] = options
    config.stash[RUN] = Run(options, Progress())
    try:
        config.stash[THRESHOLDS] = thresholds_of(config)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_report_header(config: pytest.Config) -> list[str]:
    """The versions under test, the user's own files, and what an option removes from the judgement."""
    options = config.stash[OPTIONS]
    about = describe_machine()
    commit = f" at {about['commit'][:12]}{', changed' if about['dirty'] else ''}" if about["commit"] else ""
    lines = [f"lorabench{commit}: {machine_words(about)}"]
    if options.header:
        lines.append(options.header)
    if options.max_steps:
        lines.append(
            f"--max-steps {options.max_steps}: quality is not judged, because thresholds were measured with whole "
            "recipes; without --max-steps, the recipes of --data sample are quick and have thresholds"
        )
    return [for_terminal(line) for line in lines]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test with the argument `case` once for each case of the matrix (or of its `cases` marker)."""
    if "case" not in metafunc.fixturenames:
        return
    config = metafunc.config
    wanted = metafunc.definition.get_closest_marker("cases")
    options = config.stash[OPTIONS]
    everything = options.replay and options.selection == Selection()
    known = config.stash[RUN].known_cases() if everything else all_cases(options.selection)
    cases = [case for case in known if wanted is None or wanted.kwargs["wanted"](case)]
    if "probe_results" in metafunc.fixturenames:
        cases = [case for case in cases if config.stash[RUN].plan.probes(case)]
    made = config.stash.setdefault(PARAMETERS, {})  # from earlier tests: a case has many tests
    for case in cases:
        if case not in made:
            made[case] = parameter(config.stash[RUN], case)
    metafunc.parametrize("case", [made[case] for case in cases])


def parameter(run: Run, case: Case) -> Any:
    """The case with its marks: gpu from its device, slow from its data or method."""
    try:
        if not run.options.replay:
            run.plan.recipe(case)  # reports a mistake in its file before anything is fetched or run
        slow = run.plan.is_paper_size(case) or not is_smoke(case, run.options.selection)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    marks = [pytest.mark.gpu] * (case.device != "cpu") + [pytest.mark.slow] * slow
    return pytest.param(case, id=case.id, marks=marks)


def case_of(item: pytest.Item) -> Case | None:
    call = getattr(item, "callspec", None)
    case = call.params.get("case") if call else None
    return case if isinstance(case, Case) else None  # for an empty matrix pytest makes one item without a case


def needs_record(item: pytest.Item) -> bool:
    skipped = any(mark.name == "skip" for mark in item.iter_markers())
    return case_of(item) is not None and not skipped and "record" in getattr(item, "fixturenames", ())


def judges_seconds(item: pytest.Item) -> bool:
    """Whether the test times its case, or compares its seconds with another run's."""
    return not {"benchmark", "seconds_finding"}.isdisjoint(getattr(item, "fixturenames", ()))


def pytest_runtestloop(session: pytest.Session) -> None:
    """Queue the cases of the collected tests, in their order, before the first test runs."""
    if session.config.option.collectonly or session.testsfailed:
        return
    cases = list(dict.fromkeys(case_of(item) for item in session.items if needs_record(item)))
    with progress_on_terminal(session.config) as run:
        try:
            run.submit(
                [case for case in cases if case],
                {case for item in session.items if judges_seconds(item) and (case := case_of(item))},
            )
        except NotStored as error:
            pytest.exit(for_terminal(str(error)), returncode=NOT_STORED)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Remember the running test, to name it again on the terminal after progress lines."""
    item.config.stash[RUNNING] = (item.nodeid, item.location)
    try:
        return (yield)
    finally:
        del item.config.stash[RUNNING]


def pytest_unconfigure(config: pytest.Config) -> None:
    if RUN in config.stash:
        config.stash[RUN].stop()


class progress_on_terminal:
    """Show progress on the terminal, not in a test's captured output, while the session waits for a case."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.run = config.stash[RUN]
        self.capture = config.pluginmanager.getplugin("capturemanager")
        self.reporter = config.pluginmanager.getplugin("terminalreporter")

    def __enter__(self) -> Run:
        self.suspended = self.capture.global_and_fixture_disabled()
        self.suspended.__enter__()
        if self.reporter:
            self.run.progress.start(lambda text: self.reporter.write(text, flush=True), self.reporter.isatty)
        return self.run

    def __exit__(self, *error: Any) -> None:
        if self.run.progress.stop() and self.reporter:
            self.begin_line_again()
        self.suspended.__exit__(*error)

    def begin_line_again(self) -> None:
        """Put the cursor where pytest expects it: after the name of the running file or test."""
        running = self.config.stash.get(RUNNING, None)
        self.reporter.currentfspath = None
        if running and (self.reporter.showfspath or self.reporter.showlongtestinfo):
            self.reporter.pytest_runtest_logstart(*running)
        elif self.run.progress.terminal:
            self.reporter.line("")  # the line above is pytest's


@pytest.fixture(scope="session")
def versions_in_junit(record_testsuite_property: Callable[[str, object], None]) -> None:
    """The machine and its libraries as properties in the JUnit file."""
    about = describe_machine()
    for name in ("processor", "cores", "accelerator", "driver", "commit"):
        if about[name] is not None:
            record_testsuite_property(name, about[name])
    for name, version in about["libraries"].items():
        if version:
            record_testsuite_property(name, version)


@pytest.fixture
def record(case: Case, request: pytest.FixtureRequest, pytestconfig: pytest.Config, versions_in_junit: None) -> Record:
    """The case's record; waits for it. A case that did not end well fails one test, and its other tests do not run."""
    with progress_on_terminal(pytestconfig) as run:
        found = run.record(case)
    request.node.user_properties += properties_of(found)
    if not found.ok:
        if not run.reports(case.id, request.node.nodeid):
            pytest.skip(f"{found.case}: {found.status}, reported by an earlier test")
        said = "\n".join(f"    {line}" for line in found.last_lines)
        pytest.fail(f"{found.case}: {found.status}, {found.reason or FAILED}\n{said}".rstrip(), pytrace=False)
    return found


def properties_of(record: Record) -> list[tuple[str, object]]:
    """The properties of a test's case in the JUnit file: its metric, memory and speed, if the record has them."""
    metric = TASKS[record.parsed_case().task].metric
    figures = {
        "case": record.case,
        "recipe": record.recipe_digest,
        metric: record.quality.get(metric) if record.quality_judged else None,
        **{name: FIGURES[name].value_in(record) for name in IN_JUNIT},
    }
    return [(name, value) for name, value in figures.items() if value not in (None, "")]


@pytest.fixture
def require_judged(
    case: Case, request: pytest.FixtureRequest, pytestconfig: pytest.Config
) -> Callable[[Unjudged | None], None]:
    """A function that ends the test if the record is not judged: with a skip if the user chose that, else a failure.

    The same reason fails only one test of a case; its other tests are skipped.
    """
    options, run = pytestconfig.stash[OPTIONS], pytestconfig.stash[RUN]

    def require(found: Unjudged | None) -> None:
        if found is None:
            return
        said = f"{case.id}: {found.reason}"
        if found.chosen or options.allow_unjudged:
            pytest.skip(found.reason)
        if not run.reports(said, request.node.nodeid):
            pytest.skip(f"{case.id}: not judged, reported by an earlier test")
        pytest.fail(said, pytrace=False)

    return require


@pytest.fixture(scope="session")
def entries(pytestconfig: pytest.Config) -> tuple[str, ...]:
    """The user's own modules and files, which every worker loads."""
    return pytestconfig.stash[OPTIONS].entries


@pytest.fixture
def expects_threshold(case: Case, record: Record, pytestconfig: pytest.Config) -> bool:
    """Whether the case belongs to the default run, whose cases all have thresholds."""
    return in_default_run(case, record.recipe["data"], pytestconfig.stash[OPTIONS].own_entries)


@pytest.fixture
def judged_record(record: Record, require_judged: Callable[[Unjudged | None], None]) -> Record:
    """The case's record, if it is of real weights and has its task's metric."""
    require_judged(without_weights(record))
    require_judged(without_metric(record))
    return record


@pytest.fixture
def probe_results(case: Case, judged_record: Record) -> ProbeResults:
    """The case's probes, before and after training."""
    found = ProbeResults(judged_record)
    if not (found.rows or found.losses):
        if TASKS[case.task].probes:
            pytest.fail(f"{case.id}: its record has no probes, which {case.task} always asks; run it again")
        pytest.skip("it was run without probes; add --probes all")
    return found


@pytest.fixture
def thresholds(pytestconfig: pytest.Config) -> Thresholds:
    return pytestconfig.stash[THRESHOLDS]


@pytest.fixture
def steps(case: Case, pytestconfig: pytest.Config) -> Iterator[Any]:
    """An open worker whose `call("step")` does one optimizer step of the case."""
    if pytestconfig.stash[OPTIONS].replay:
        pytest.skip("--replay runs nothing; pytest-benchmark keeps its own records")
    if not pytestconfig.stash[OPTIONS].place.is_local:
        pytest.skip("steps are timed one by one on this machine only; leave --executor out")
    with progress_on_terminal(pytestconfig) as run:
        session = run.open_steps(case)
    with session:
        yield session
