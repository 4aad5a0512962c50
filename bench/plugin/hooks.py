"""The pytest hooks and fixtures of lorabench; conftest.py loads this module."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bench.core.case import Case
from bench.core.files import write_atomically
from bench.core.outside_text import for_terminal
from bench.judge.thresholds import Thresholds
from bench.machine.environment import describe_machine
from bench.plan.options import Options
from bench.plan.selection import Selection, all_cases, is_smoke
from bench.plugin.exit_codes import NOT_STORED, NOTHING_JUDGED, final_code
from bench.plugin.ini import add_ini_lines
from bench.plugin.options import add_options, read_options
from bench.plugin.own import thresholds_of
from bench.plugin.progress import Progress
from bench.plugin.session import Run
from bench.plugin.unjudged import Unjudged, in_default_run, without_metric, without_weights
from bench.records.probed import Probed
from bench.records.record import FAILED, Record
from bench.records.run_folder import EMULATION, NotStored, shown, why_not_stored
from bench.report import probes
from bench.report.cases import NAMES, table_of
from bench.report.tables import markdown_lines, text_lines
from bench.tasks import TASKS

XDIST = (
    "pytest-xdist's processes would each run every case, beside each other, on this machine; "
    "leave -n out, or set it to 0, and give --workers N to run N cases at a time"
)
OPTIONS = pytest.StashKey[Options]()
RUN = pytest.StashKey[Run]()
THRESHOLDS = pytest.StashKey[Thresholds]()
PARAMETERS = pytest.StashKey[dict[Case, Any]]()


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


def pytest_report_header(config: pytest.Config) -> str | None:
    return config.stash[OPTIONS].header or None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test that asks for `case` runs once for each case of the matrix (or of its `cases` marker)."""
    if "case" not in metafunc.fixturenames:
        return
    config = metafunc.config
    wanted = metafunc.definition.get_closest_marker("cases")
    options = config.stash[OPTIONS]
    everything = options.replay and options.selection == Selection()
    known = config.stash[RUN].known_cases() if everything else all_cases(options.selection)
    cases = [case for case in known if wanted is None or wanted.kwargs["wanted"](case)]
    if "probed" in metafunc.fixturenames:
        cases = [case for case in cases if config.stash[RUN].plan.probes(case)]
    made = config.stash.setdefault(PARAMETERS, {})  # of the tests before: a case has many
    for case in cases:
        if case not in made:
            made[case] = parameter(config.stash[RUN], case)
    metafunc.parametrize("case", [made[case] for case in cases])


def parameter(run: Run, case: Case) -> Any:
    """The case with its marks: gpu by its device, slow by its data or its method."""
    try:
        if not run.options.replay:
            run.plan.recipe(case)  # a mistake in its file is said before anything is fetched or run
        slow = run.plan.is_paper_size(case) or not is_smoke(case, run.options.selection)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    marks = [pytest.mark.gpu] * (case.device != "cpu") + [pytest.mark.slow] * slow
    return pytest.param(case, id=case.id, marks=marks)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what cannot run here, and say what it needs. Raises pytest.UsageError for cases in xdist's processes."""
    run = config.stash[RUN]
    if is_distributed(config) and any(case_of(item) for item in items):
        raise pytest.UsageError(XDIST)
    asked_slow = "slow" in config.option.markexpr or config.stash[OPTIONS].replay
    cannot_run = cache(run.cannot_run)
    for item in items:
        case = case_of(item)
        reason = cannot_run(case) if case else ""
        if not reason and not asked_slow and item.get_closest_marker("slow"):
            reason = "a paper-size run, or beyond the smoke run; add -m slow"
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


def is_distributed(config: pytest.Config) -> bool:
    """Whether pytest-xdist runs the tests in several processes, of which this may be one."""
    return getattr(config.option, "dist", "no") != "no" or hasattr(config, "workerinput")


def case_of(item: pytest.Item) -> Case | None:
    call = getattr(item, "callspec", None)
    case = call.params.get("case") if call else None
    return case if isinstance(case, Case) else None  # of an empty matrix pytest makes one item without a case


def needs_record(item: pytest.Item) -> bool:
    skipped = any(mark.name == "skip" for mark in item.iter_markers())
    return case_of(item) is not None and not skipped and "record" in getattr(item, "fixturenames", ())


def pytest_runtestloop(session: pytest.Session) -> None:
    """Queue the cases that the collected tests judge, in their order, before the first test runs."""
    if session.config.option.collectonly or session.testsfailed:
        return
    cases = list(dict.fromkeys(case_of(item) for item in session.items if needs_record(item)))
    with progress_on_terminal(session.config) as run:
        try:
            run.submit([case for case in cases if case])
        except NotStored as error:
            pytest.exit(for_terminal(str(error)), returncode=NOT_STORED)


def pytest_unconfigure(config: pytest.Config) -> None:
    if RUN in config.stash:
        config.stash[RUN].stop()


class progress_on_terminal:
    """While the session waits for a case, progress goes to the terminal and not into a test's capture."""

    def __init__(self, config: pytest.Config) -> None:
        self.run = config.stash[RUN]
        self.capture = config.pluginmanager.getplugin("capturemanager")
        self.reporter = config.pluginmanager.getplugin("terminalreporter")

    def __enter__(self) -> Run:
        self.suspended = self.capture.global_and_fixture_disabled()
        self.suspended.__enter__()
        if self.reporter:
            self.run.progress.start(self.reporter._tw._file)
        return self.run

    def __exit__(self, *error: Any) -> None:
        self.run.progress.stop()
        self.suspended.__exit__(*error)


@pytest.fixture
def record(case: Case, request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Record:
    """The case's record, waiting for it. A case that did not end well fails one test; its others are skipped."""
    with progress_on_terminal(pytestconfig) as run:
        found = run.record(case)
    if not found.ok:
        if not run.reports(case.id, request.node.nodeid):
            pytest.skip(f"{found.case}: {found.status}, reported by an earlier test")
        said = "\n".join(f"    {line}" for line in found.last_lines)
        pytest.fail(f"{found.case}: {found.status}, {found.reason or FAILED}\n{said}".rstrip(), pytrace=False)
    return found


@pytest.fixture
def require_judged(
    case: Case, request: pytest.FixtureRequest, pytestconfig: pytest.Config
) -> Callable[[Unjudged | None], None]:
    """A function that ends the test of a record that is not judged: a skip where a person chose that, else a failure.

    The same reason fails one test of a case; its others are skipped.
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


@pytest.fixture
def expects_threshold(case: Case, record: Record, pytestconfig: pytest.Config) -> bool:
    """Whether the case is one of the default run, all of which have thresholds."""
    return in_default_run(case, record.recipe["data"], pytestconfig.stash[OPTIONS].own_entries)


@pytest.fixture
def judged_record(record: Record, require_judged: Callable[[Unjudged | None], None]) -> Record:
    """The case's record, of real weights and with its task's metric."""
    require_judged(without_weights(record))
    require_judged(without_metric(record))
    return record


@pytest.fixture
def probed(case: Case, judged_record: Record) -> Probed:
    """What was asked in the case, before and after."""
    found = Probed(judged_record)
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
    with progress_on_terminal(pytestconfig) as run:
        session = run.open_steps(case)
    with session:
        yield session


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """The accelerator and the libraries, which pytest-benchmark does not know."""
    about = describe_machine()
    machine_info["accelerator"] = about["accelerator"]
    machine_info["driver"] = about["driver"]
    machine_info[EMULATION] = config.stash[RUN].emulation or ""
    machine_info["libraries"] = about["libraries"]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The table of the session's records, on the terminal, in the run's folder and in CI's summary."""
    run = config.stash[RUN]
    if run.records:
        show_records(terminalreporter, run, config.stash[THRESHOLDS])
    if run.folder and run.unwritten:
        run.complaints.append(why_not_stored(run.folder, run.unwritten))
    for complaint in run.complaints:
        terminalreporter.write_line(for_terminal(complaint), red=True)


def page_of(table: list[list[str]]) -> str:
    return "\n".join(markdown_lines(table, NAMES)) + "\n"


def show_records(terminalreporter: Any, run: Run, thresholds: Thresholds) -> None:
    """The tables on the terminal, and the pages that hold the first; a page that cannot be written is a complaint.

    A run's own page is of all its records; the terminal and CI's summary show the session's.
    """
    table = table_of(run.records.values(), thresholds)
    terminalreporter.section("cases")
    for line in text_lines(table, NAMES):
        terminalreporter.write_line(line)
    if spent := run.seconds_spent():
        terminalreporter.write_line(spent)
    asked = probes.probes_table(run.records.values())
    if asked[1:]:
        terminalreporter.section("probes")
        for line in text_lines(asked, probes.NAMES):
            terminalreporter.write_line(line)
    if run.folder and not run.options.replay:
        try:
            write_atomically(run.folder / "summary.md", page_of(table_of(run.all_records(), thresholds)))
        except OSError as error:
            run.unwritten["summary.md"] = error
        terminalreporter.write_line(for_terminal(f"records: {shown(run.folder)}"))
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(page_of(table))
        except OSError as error:  # a page of CI's, not the run
            run.complaints.append(f"GITHUB_STEP_SUMMARY {summary} cannot be written: {error.strerror}")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Set the exit code, after the terminal's summary, which writes; one of ours is explained in a line."""
    yield
    run, reporter = session.config.stash[RUN], session.config.pluginmanager.getplugin("terminalreporter")
    skips = only_skips(reporter.stats) if reporter and any(map(case_of, session.items)) else []
    code = final_code(session.exitstatus, not run.unwritten, not run.left_out, not skips)
    session.exitstatus = code
    if code == NOTHING_JUDGED and reporter:
        (reason, count), *_ = Counter(skips).most_common(1)
        also = f"{count} of {len(skips)}: " if count < len(skips) else ""
        says = f"exit code {code}: every selected test was skipped, so nothing was judged; {also}{reason}"
        reporter.write_line(for_terminal(says), red=True)


def only_skips(stats: Mapping[str, list[Any]]) -> list[str]:
    """Why each selected test was skipped; [] if none was, or if any test was run."""
    if any(stats.get(name) for name in ("passed", "failed", "error", "xfailed", "xpassed")):
        return []
    return [report.longrepr[2].removeprefix("Skipped: ") for report in stats.get("skipped", [])]
