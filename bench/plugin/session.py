"""A session's run: it sends cases to the executor and writes each record when it comes back."""

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from bench.core.case import Case, parse_case
from bench.core.work import CHECK_LIBRARIES, PRELOAD_FOR_CASES, PREPARED, RUN_CASE, STEPPER
from bench.executor import Executor, Job, Node, Outcome, RunsJobs, Session
from bench.executor.cluster.agent import Setting
from bench.executor.cluster.opening import make_engine, open_cluster
from bench.executor.cluster.queue import ClusterExecutor
from bench.machine.environment import describe_machine
from bench.methods import METHODS
from bench.models import MODELS
from bench.plan.options import Options
from bench.plan.own import FOR_WORKERS
from bench.plan.plan import Plan
from bench.plan.selection import Selection, all_cases
from bench.plugin.progress import Progress
from bench.plugin.same_card import emulation_of, refuse_another_card
from bench.records.record import FAILED, OK, BadRecord, Record, parse_record, read_records, read_run
from bench.records.run_folder import EMULATION, make_folder, predictions_path, write_case
from bench.records.run_progress import ProgressFile
from bench.sources.fetch import PREPARE, NeededSources, look_up
from bench.sources.hub import UNREACHABLE
from bench.sources.weights import SYNTHETIC
from bench.tasks import TASKS

TIMEOUT_SECONDS = {"sample": 900.0, "full": 21_600.0}
FETCH_SECONDS = 3_600.0
FETCH = "weights"
CHECKS = "checks of the libraries"
PARTS = {"methods": "method", "models": "model", "tasks": "task", "devices": "device"}  # option -> a case's part


def of_outcome(outcome: Outcome, noisy: dict[str, Any]) -> dict[str, Any]:
    """What the parent knows about a case's time: the total, the part that was no work, and what ran beside it."""
    from bench.worker.timeline import START

    found: dict[str, Any] = {"case_seconds": outcome.seconds, "overhead_seconds": outcome.overhead_seconds}
    if stages := noisy.get("seconds"):
        found["seconds"] = {START: outcome.overhead_seconds, **stages}
    if outcome.beside:
        found["ran_beside"] = list(outcome.beside)
    return found


def refuse_what_is_not_stored(selection: Selection, run: str, stored: Collection[str]) -> None:
    """Raises pytest.UsageError for a name or seed on the command line that no stored case of the selection has."""
    known = [parse_case(case_id) for case_id in stored]
    chosen = [case for case in all_cases(selection) if case.id in stored]
    for option, part in {**PARTS, "seeds": "seed"}.items():
        for name in getattr(selection, option):
            if any(getattr(case, part) == name for case in chosen):
                continue
            there = sorted({str(getattr(case, part)) for case in known})
            raise pytest.UsageError(
                f"the run {run} has no record of {part} {name} among the selected cases; "
                f"its {option} are {', '.join(there)}"
            )


class Run:
    """One session's records by case id, and their folder."""

    def __init__(self, options: Options, progress: Progress) -> None:
        self.options = options
        self.plan = Plan(options, self.resources)
        self.progress = progress
        self.progress_file = ProgressFile()
        self.records: dict[str, Record] = {}
        self.complaints: list[str] = []
        self.unwritten: dict[str, OSError] = {}  # parts of the run that could not be stored -> the error
        self.reported_by: dict[str, str] = {}  # reason of a failure -> the id of the test that failed for it
        self.left_out: list[str] = []  # stored cases that a replay of the whole run cannot judge
        self.folder = options.replay or options.resume
        self.emulation: str | None = None  # of the cases that were submitted
        self.submitted: tuple[str, ...] = ()  # ids of the cases that this session judges
        self._stored: dict[str, Record] = {}
        self._jobs: dict[str, Case] = {}
        self._cluster = None if options.place.is_local else open_cluster(options.place)
        self._executors: list[RunsJobs] = []
        self._environment: dict[str, str] = {}
        self._prepared = False  # whether weights were fetched and the Hub was asked
        if self.folder:
            self._stored, self.complaints = self._read(self.folder)
            refuse_another_card(options, self.folder, self._stored.values())
        if options.replay:
            self.records = dict(self._stored)
            self._check_replay(options.replay)

    def _read(self, folder: Path) -> tuple[dict[str, Record], list[str]]:
        """The stored run's records. A resumed run complains about unreadable lines and runs their cases again.

        Raises pytest.UsageError for a replay of a run without records, or with an unreadable line: its case may have
        failed.
        """
        if self.options.resume:
            return read_records(folder / "records.jsonl")
        try:
            records, complaints = read_run(folder)
        except BadRecord as error:
            raise pytest.UsageError(str(error)) from None
        if complaints:
            more = f" (and {len(complaints) - 1} more lines)" if complaints[1:] else ""
            raise pytest.UsageError(f"--replay judges a whole run only: {complaints[0]}{more}")
        return records, []

    def _check_replay(self, folder: Path) -> None:
        """Note what a replay cannot judge. Raises pytest.UsageError if the command line names what the run lacks.

        In the replay of a whole run, each case whose entries are not registered is a complaint.
        """
        if self.options.selection != Selection():
            refuse_what_is_not_stored(self.options.selection, folder.name, self.records)
            return
        for case_id in self.records:
            case = parse_case(case_id)
            names = [
                f"{kind} {name}"
                for kind, name, there in (
                    ("task", case.task, TASKS),
                    ("model", case.model, MODELS),
                    ("method", case.method, METHODS),
                )
                if name not in there
            ]
            if names:
                self.left_out.append(case_id)
                self.complaints.append(
                    f"{case_id}: not judged, there is no {' and no '.join(names)}; give --entries with your module"
                )

    def known_cases(self) -> list[Case]:
        """The stored run's cases, except those that are left out."""
        return [parse_case(case_id) for case_id in self.records if case_id not in self.left_out]

    def all_records(self) -> list[Record]:
        """The records in the run's folder, also from earlier sessions, and this session's records, stored or not."""
        stored = {}
        if self.folder:
            with suppress(OSError):  # if the folder cannot be read, this session's records are still known
                stored = read_records(self.folder / "records.jsonl")[0]
        return list({**stored, **self.records}.values())

    def reports(self, reason: str, test: str) -> bool:
        """Whether the test with this id is the one that fails for the reason; if it is run again, it fails again."""
        return self.reported_by.setdefault(reason, test) == test

    def cannot_run(self, case: Case) -> str:
        """Why the case is skipped before it starts; empty if it can run."""
        if self.options.replay:
            return "" if case.id in self.records else f"{case.id} is not in the run {self.options.replay.name}"
        return self.plan.cannot_run(case)

    def resources(self) -> Sequence[Node]:
        """The machines that cases can run on. Raises pytest.UsageError if they cannot be reached."""
        try:
            return self._cluster.nodes() if self._cluster else self._here
        except ConnectionError as error:
            raise pytest.UsageError(str(error)) from None

    @cached_property
    def _here(self) -> Sequence[Node]:
        """This machine, looked at once: each collected test asks."""
        return Executor.resources()

    def submit(self, cases: Iterable[Case], timed: Collection[Case] = ()) -> None:
        """Look for the cases' weights, then queue the cases that have no stored record.

        timed: the cases whose seconds a test judges; they run alone on their machine, as every repeat does.
        """
        if self.options.replay:
            return
        cases = list(cases)
        self.submitted = tuple(case.id for case in cases)
        self._take_over(cases)
        waiting = [case for case in cases if case.id not in self.records]
        if not waiting:
            return
        size = max((self.plan.data_size(case) for case in waiting), key=lambda name: TIMEOUT_SECONDS[name])
        timeout = self.options.case_timeout or TIMEOUT_SECONDS[size]
        self.emulation = emulation_of(self.options, waiting)
        entries = [entry for entry in self.options.entries if not entry.startswith(FOR_WORKERS)]  # tables are no code
        self.folder = make_folder(self.emulation, self.folder, self.options.run_name, entries)
        self.progress_file.begin(self.folder, [case.id for case in waiting])
        executor = self._start_executor(timeout, waiting)
        self._prepare(waiting)
        for case in waiting:
            self._jobs[case.id] = case
            alone = case in timed or self.options.repeat > 0
            executor.submit(self.plan.job(case, RUN_CASE, case.id, self._environment, self.folder, alone))

    def _start_executor(self, timeout: float, cases: Sequence[Case]) -> RunsJobs:
        """The session's executor for these cases; complains about machines that it does not use."""
        executor: RunsJobs
        if self._cluster is None:
            executor = Executor(self._preload(), timeout, self.options.workers, self._report, self._done)
        else:
            fetch = None if self.options.place.shares_a_disk else self._fetch_job(self.plan.weights_of(cases))
            executor = self._cluster_executor(timeout, fetch, self._report, self._done)
            self.complaints += [f"{node.name} is left out: {node.refused}" for node in self.resources() if node.refused]
            self._environment |= {
                name: os.environ[name] for name in self.options.send_environment if name in os.environ
            }
        self._executors.append(executor)
        return executor

    def _cluster_executor(self, timeout: float, fetch: Job | None, *callbacks: Callable[..., None]) -> ClusterExecutor:
        """An executor for the cluster's machines; fetch is what each of them does before its first case."""
        assert self._cluster is not None  # else the session's executor is this machine's
        setting = Setting(
            describe_machine(),
            self._preload(),
            timeout,
            self.options.workers,
            fetch,
            self.options.entries,
            FETCH_SECONDS,
        )
        engine = make_engine(self.options.place, self._cluster, setting)
        return ClusterExecutor(engine, self.options.placement_timeout, *callbacks)

    @staticmethod
    def _fetch_job(sources: NeededSources) -> Job:
        return Job(FETCH, PREPARE, sources.to_plain())

    def _report(self, key: str, said: dict[str, Any]) -> None:
        """Show a worker's message and write it into the run's folder; the executor calls this as on_progress."""
        if PREPARED in said:
            self._complain_of_weights(said[PREPARED]["weights"])
            return
        self.progress.report(key, said)
        self.progress_file.add(key, said)

    def _take_over(self, cases: Sequence[Case]) -> None:
        """Keep those records of a resumed run that the session would reproduce; say why the others are not kept."""
        stored = {case: self._stored[case.id] for case in cases if case.id in self._stored}
        if not self.options.resume or not stored or self.options.repeat:
            return
        sources = self.plan.sources(cases)
        found = look_up(sources) if self.plan.is_at_hand(sources) else self._fetch(sources)
        for case, record in stored.items():
            if why := self.plan.refusal(case, record, found, self.options.resume):
                self.complaints.append(f"{case.id}: run again, {why}")
            else:
                self.records[case.id] = record

    def seconds_spent(self) -> str:
        """A sentence on where the wall time of this session's cases went; "" if no case accounts for its time."""
        from bench.worker.timeline import share_of_training

        imports = sum(executor.preload_seconds for executor in self._executors)
        share = share_of_training(self.records[case_id] for case_id in self._jobs if case_id in self.records)
        return f"{share}; importing the libraries took {imports:.0f} s, once" if share and imports else share

    def _preload(self) -> tuple[str, ...]:
        """The modules that workers import in advance: heavy libraries, and those that register the user's entries."""
        return (*PRELOAD_FOR_CASES, *self.options.entries)

    def _prepare(self, cases: Sequence[Case]) -> None:
        """Fetch weights once and check whether the Hub answers, so that no case waits for either.

        Machines that share no disk with this one do that themselves, before their first case.
        """
        if not self._prepared and self.options.place.shares_a_disk:
            self._fetch(self.plan.weights_of(cases))

    def _fetch(self, sources: NeededSources) -> dict[str, Any]:
        """Fetch these sources in a worker and return what it found; each one that is missing is a complaint."""
        self._prepared = True
        with (
            Executor(self.options.entries, FETCH_SECONDS, on_progress=self.progress.report)
            if self.options.place.shares_a_disk
            else self._cluster_executor(FETCH_SECONDS, None, self.progress.report)
        ) as executor:
            executor.submit(self._fetch_job(sources))
            outcome = executor.outcome(FETCH)
        if outcome.result is None:
            self.complaints.append(f"fetching weights: {outcome.reason}")
            return {"weights": {}, "rows": {}}
        if outcome.result["away"]:
            self._environment |= {UNREACHABLE: outcome.result["away"]}
        self._complain_of_weights(outcome.result["weights"])
        return outcome.result

    def _complain_of_weights(self, weights: Mapping[str, Any]) -> None:
        """Say which weights could not be had, once if several machines say the same."""
        for name, found in weights.items():
            random = found["origin"] == SYNTHETIC and not (MODELS[name].tiny or self.options.synthetic)
            complaint = f"{name}: its weights could not be had, {found['reason']}"
            if (random or not found["identity"]) and complaint not in self.complaints:
                self.complaints.append(complaint)

    def _done(self, outcome: Outcome) -> None:
        """Write the record; the executor calls this as on_done."""
        case = self._jobs[outcome.key]
        record, examples = self._record(case, outcome)
        assert self.folder is not None  # it is created before the first job
        self.records[case.id] = record
        try:
            result = outcome.result if outcome.result and not record.repeat else {}  # keep the first process's answers
            rows = {name: result.get(name, []) for name in ("probe_answers", "untrained")}
            write_case(self.folder, record, [] if record.repeat else examples, **rows)
        except OSError as error:  # the disk failed, not the case, which is still judged
            self.unwritten[case.id] = error
        self.progress_file.end(case.id, record.status)
        self.progress.show_outcome(outcome)

    def _record(self, case: Case, outcome: Outcome) -> tuple[Record, list[dict[str, Any]]]:
        """The outcome as a record, and its examples. The case fails if its result is not a valid record."""
        recipe = self.plan.recipe(case)
        fields: dict[str, Any] = {
            "case": case.id,
            "status": outcome.status,
            "reason": outcome.reason,
            "last_lines": outcome.last_lines if outcome.status != OK else [],
            "recipe": asdict(recipe),
            "recipe_digest": recipe.digest(),
            "repeat": self.options.repeat,
            "environment": {**describe_machine(), **outcome.environment, "device": case.device},
        }
        if card := self.plan.card(case):
            fields["environment"][EMULATION] = card.name
        where = {"node": outcome.node, "attempt": outcome.attempt} if outcome.node else {}
        fields["environment"] |= where
        earlier = [outcome.earlier] if outcome.earlier else []
        if outcome.result is None:
            return Record(**fields, reasons=earlier), []
        result = dict(outcome.result)
        examples = result.pop("examples", [])
        result.pop("probe_answers", None)
        result.pop("untrained", None)
        result["noisy"] = {**result.get("noisy", {}), **of_outcome(outcome, result.get("noisy", {}))}
        if where:
            result["environment"] = {**result.get("environment", fields["environment"]), **where}
        result["reasons"] = [*earlier, *result.get("reasons", [])]
        if examples:
            fields["predictions"] = predictions_path(case.id)
        try:
            return parse_record(Record(**{**fields, **result}).to_line()), examples
        except ValueError as error:  # a NaN, which JSON cannot express
            return Record(**{**fields, "status": FAILED, "reason": f"its figures are no record: {error}"}), []

    def record(self, case: Case) -> Record:
        """The case's record; waits for it."""
        if case.id in self.records:
            return self.records[case.id]
        if case.id not in self._jobs:
            return Record(case=case.id, status=FAILED, reason="it was not submitted")
        executor = self._executors[0]
        executor.first(case.id)
        executor.outcome(case.id)
        return self.records[case.id]

    def unfinished(self) -> list[str]:
        """Ids of the submitted cases that have no record yet."""
        return [case_id for case_id in self.submitted if case_id not in self.records]

    def open_steps(self, case: Case) -> Session:
        """A worker that runs this case's optimizer steps one by one; no queued case starts meanwhile."""
        self.emulation = self.emulation or emulation_of(self.options, [case])
        executor = self._executor_here(self.options.case_timeout or TIMEOUT_SECONDS["full"])
        self._prepare([case])
        return executor.open_session(self.plan.job(case, STEPPER, f"steps of {case.id}", self._environment))

    def open_checks(self) -> Session:
        """A worker that checks the libraries' own ways on tiny models; no queued case starts meanwhile."""
        return self._executor_here(TIMEOUT_SECONDS["sample"]).open_session(Job(CHECKS, CHECK_LIBRARIES))

    def _executor_here(self, timeout: float) -> Executor:
        """This machine's executor: the session's own unless cases run in a cluster."""
        for executor in self._executors:
            if isinstance(executor, Executor):
                return executor
        executor = Executor(self._preload(), timeout, self.options.workers, self._report, self._done)
        self._executors.append(executor)
        return executor

    def stop(self) -> None:
        for executor in self._executors:
            executor.stop()
        if self._cluster:
            self._cluster.close()
        self.progress_file.close()
