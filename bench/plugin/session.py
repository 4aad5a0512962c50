"""The run of a session: cases go to the executor, records come back and are written as they finish."""

import json
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bench.cards import CardKind, recipe_on
from bench.case import Case
from bench.devices import Card, cards, missing
from bench.executor import Executor, Job, Outcome, Session
from bench.measure.environment import describe_machine, processor
from bench.models import DECODER, MODELS
from bench.places import RUNS
from bench.plugin.options import Options
from bench.plugin.progress import Progress
from bench.predict.planner import too_small
from bench.probes import PROBES
from bench.recipe import Recipe, recipe_for
from bench.record import FAILED, NOT_RUN, OK, Record, append_record, parse_record, read_records, write_atomically
from bench.sources.data import find_full
from bench.sources.hub import UNREACHABLE
from bench.tasks import TASKS

PRELOAD = ("torch", "transformers", "peft", "safetensors.torch", "bench.run", "bench.stepper")
TIMEOUT_SECONDS = {"sample": 900.0, "full": 21_600.0}
FETCH_SECONDS = 3_600.0
FETCH = "weights"
EMULATION = "emulation"  # the key of a run and of a record's environment: the emulated card's name
# libgomp's threads spin long while they wait, which starves a busy machine: steps were seen a hundred times
# slower beside another process. Sleeping at once costs 1.8 times on an idle one, a short spin almost nothing.
# It is read once, so it is set before the workers' libraries load.
THREADS_WAIT = ("GOMP_SPINCOUNT", "20000")


class Run:
    """One session's records by case id, and the folder they lie in."""

    def __init__(self, options: Options, progress: Progress) -> None:
        self.options = options
        self.progress = progress
        self.records: dict[str, Record] = {}
        self.complaints: list[str] = []
        self.told: set[str] = set()  # failed cases that a test has reported
        self.folder = options.replay or options.resume
        self._stored: dict[str, Record] = {}
        self._jobs: dict[str, Case] = {}
        self._recipes: dict[Case, Recipe] = {}
        self._executors: list[Executor] = []
        self._environment: dict[str, str] = {}
        if self.folder:
            self._stored, self.complaints = read_records(self.folder / "records.jsonl")
            refuse_another_card(options, self.folder, self._stored.values())
        if options.replay:
            self.records = dict(self._stored)

    def data_size(self, case: Case) -> str:
        """Sample or full data for this case, as the command line says."""
        if self.options.data != "auto":
            return self.options.data
        return "full" if find_full(TASKS[case.task].data, self.options.mirror) else "sample"

    def recipe(self, case: Case) -> Recipe:
        """The case's recipe as the command line and the emulated card have it; asked for each of its many tests."""
        if case not in self._recipes:
            self._recipes[case] = self._recipe(case)
        return self._recipes[case]

    def _recipe(self, case: Case) -> Recipe:
        given: dict[str, Any] = {"max_steps": self.options.max_steps} if self.options.max_steps else {}
        recipe = recipe_for(case, self.data_size(case), engine=self.options.engine, **given)
        return recipe_on(recipe, card) if (card := self._card(case)) else recipe

    def _card(self, case: Case) -> CardKind | None:
        """The card that the case is run as on; None for the one that is there, and for the processor."""
        return None if case.device == "cpu" else self.options.emulate

    def probes(self, case: Case) -> tuple[str, ...]:
        """The families that the case is asked: its task's own and the command line's; none of an encoder."""
        if MODELS[case.model].kind != DECODER:
            return ()
        wanted = {*TASKS[case.task].probes, *self.options.probes}
        return tuple(name for name in PROBES.names() if name in wanted)

    def cannot_run(self, case: Case) -> str:
        """Why the case is skipped before it starts; empty if it can run."""
        if self.options.replay:
            return "" if case.id in self.records else f"{case.id} is not in the run {self.options.replay.name}"
        if case.device == "cpu":
            return ""
        return missing(case.device) if self.options.attempt else too_small(case, self.recipe(case), self._cards())

    def _cards(self) -> tuple[Card, ...]:
        """The cards that are there, with no more room than the emulated one has."""
        kind = self.options.emulate
        if kind is None:
            return cards()
        return tuple(
            replace(card, name=f"{kind.name} (emulated)", free_bytes=min(card.free_bytes, kind.total_bytes))
            for card in cards()
        )

    def submit(self, cases: Iterable[Case]) -> None:
        """Queue the cases that no stored record answers, weights first."""
        waiting = [case for case in cases if not self._answered(case)]
        if self.options.replay or not waiting:
            return
        size = max((self.data_size(case) for case in waiting), key=lambda name: TIMEOUT_SECONDS[name])
        timeout = self.options.case_timeout or TIMEOUT_SECONDS[size]
        executor = self._start_executor(timeout)
        self._make_folder()
        self._prepare(sorted({case.model for case in waiting}))
        for case in waiting:
            self._jobs[case.id] = case
            executor.submit(self._job(case, "bench.run:run_case"))

    def _start_executor(self, timeout: float) -> Executor:
        os.environ.setdefault(*THREADS_WAIT)
        executor = Executor(self._preload(), timeout, self.options.workers, self.progress.told, self._done)
        self._executors.append(executor)
        return executor

    def _answered(self, case: Case) -> bool:
        """Whether a stored record of the same recipe is ok; it is taken over then."""
        stored = self._stored.get(case.id)
        if self.options.resume and stored and stored.ok and self._same_question(case, stored):
            self.records[case.id] = stored
        return case.id in self.records

    def _same_question(self, case: Case, stored: Record) -> bool:
        """Whether the record is of today's recipe and probes, and of real weights unless random ones are asked for."""
        random_weights = stored.weights.get("origin") == "synthetic"
        asked = {row["family"] for name in ("probes", "probe_losses") for row in stored.tables.get(name, [])}
        probed = asked >= set(self.probes(case))
        evaluated = self.options.lm_eval and MODELS[case.model].kind == DECODER
        probed &= not evaluated or stored.tables.get("lm_eval", {}).keys() >= set(self.options.lm_eval)
        same_recipe = stored.recipe_digest == self.recipe(case).digest()
        return same_recipe and probed and (random_weights or not self.options.synthetic)

    def _preload(self) -> tuple[str, ...]:
        """What workers have imported: the heavy libraries, and the modules that register a person's own entries."""
        return (*PRELOAD, *self.options.entries)

    def _prepare(self, models: list[str]) -> None:
        """Fetch weights once, and learn whether the Hub answers, so that no case waits for either."""
        if self.options.synthetic:
            models = []
        payload = {"models": models, "mirror": str(self.options.mirror or "")}
        with Executor(self.options.entries, FETCH_SECONDS, on_progress=self.progress.told) as executor:
            executor.submit(Job(FETCH, "bench.sources.fetch:prepare", payload))
            outcome = executor.outcome(FETCH)
        if outcome.result is None:
            self.complaints.append(f"fetching weights: {outcome.reason}")
        elif outcome.result["away"]:
            self._environment = {UNREACHABLE: outcome.result["away"]}

    def _job(self, case: Case, work: str, key: str = "") -> Job:
        payload = {
            "case": case.id,
            "recipe": asdict(self.recipe(case)),
            "mirror": str(self.options.mirror or ""),
            "synthetic": self.options.synthetic,
            "probes": self.probes(case),
            "lm_eval": self.options.lm_eval if MODELS[case.model].kind == DECODER else (),
            "threads": max(1, describe_machine()["cores"] // self.options.workers),
        }
        if card := self._card(case):
            payload["emulate"] = asdict(card)
        return Job(key or case.id, work, payload, case.device, self._environment)

    def _make_folder(self) -> None:
        if self.folder is None:
            name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{machine_name(self.options.emulate)}"
            taken = len(list(RUNS.glob(f"{name}*")))  # sessions that began in the same second
            self.folder = RUNS / (f"{name}-{taken + 1}" if taken else name)
        about = {"command": [Path(sys.argv[0]).name, *sys.argv[1:]], "machine": describe_machine(),
                 EMULATION: emulation_of(self.options)}  # fmt: skip
        if not (self.folder / "run.json").exists():  # a resumed run keeps the command that began it
            write_atomically(self.folder / "run.json", json.dumps(about, indent=1) + "\n")

    def _done(self, outcome: Outcome) -> None:
        """Write the record; on_done of the executor."""
        case = self._jobs[outcome.key]
        record, examples = self._record(case, outcome)
        probed = (outcome.result or {}).get("probed", [])
        assert self.folder is not None  # made before the first job
        self.records[case.id] = record  # first: a disk that is full is one test's error, and the others judge
        if examples:
            write_atomically(self.folder / record.predictions, json_lines(examples))
        if probed:
            write_atomically(self.folder / "predictions" / f"{case.id}.probes.jsonl", json_lines(probed))
        append_record(self.folder / "records.jsonl", record)
        self.progress.done(outcome)

    def _record(self, case: Case, outcome: Outcome) -> tuple[Record, list[dict[str, Any]]]:
        """The outcome as a record, and its examples. A result that is no record makes the case a failed one."""
        recipe = self.recipe(case)
        fields: dict[str, Any] = {
            "case": case.id,
            "status": outcome.status,
            "reason": outcome.reason,
            "last_lines": outcome.last_lines if outcome.status != OK else [],
            "recipe": asdict(recipe),
            "recipe_digest": recipe.digest(),
            "environment": {**describe_machine(), "device": case.device},
        }
        if card := self._card(case):
            fields["environment"][EMULATION] = card.name
        if outcome.result is None:
            return Record(**fields), []
        result = dict(outcome.result)
        examples = result.pop("examples", [])
        result.pop("probed", None)
        result["noisy"] = {**result.get("noisy", {}), "case_seconds": outcome.seconds,
                           "overhead_seconds": outcome.overhead_seconds}  # fmt: skip
        if examples:
            fields["predictions"] = f"predictions/{case.id}.jsonl"
        try:
            return parse_record(Record(**{**fields, **result}).to_line()), examples
        except ValueError as error:  # a NaN, which JSON has no word for
            return Record(**{**fields, "status": FAILED, "reason": f"its figures are no record: {error}"}), []

    def record(self, case: Case) -> Record:
        """The case's record; waits for it."""
        if case.id in self.records:
            return self.records[case.id]
        if case.id not in self._jobs:
            return Record(case=case.id, status=NOT_RUN, reason="it was not submitted")
        executor = self._executors[0]
        executor.first(case.id)
        executor.outcome(case.id)
        return self.records[case.id]

    def open_steps(self, case: Case) -> Session:
        """A worker that does this case's optimizer steps one by one; the queue of its device waits meanwhile."""
        if not self._executors:
            self._start_executor(self.options.case_timeout or TIMEOUT_SECONDS["full"])
            self._prepare([case.model])
        return self._executors[0].open_session(self._job(case, "bench.stepper:Stepper", key=f"steps of {case.id}"))

    def stop(self) -> None:
        for executor in self._executors:
            executor.stop()


def json_lines(rows: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def emulation_of(options: Options) -> str:
    return options.emulate.name if options.emulate else ""


def refuse_another_card(options: Options, folder: Path, stored: Iterable[Record]) -> None:
    """A run is of one card, real or emulated. Raises pytest.UsageError where this session's is another."""
    wanted = emulation_of(options)
    if options.replay and not wanted:
        return  # judges what is stored, whatever it was run on
    seen = {record.environment.get(EMULATION, "") for record in stored if record.parsed_case().device != "cpu"}
    if (about := folder / "run.json").is_file():
        try:
            seen.add(json.loads(about.read_text(encoding="utf-8")).get(EMULATION, ""))
        except (ValueError, AttributeError):  # no JSON, or no table
            raise pytest.UsageError(
                f"{about} is damaged and does not say of what card the run is; mend it, or begin a run of its own"
            ) from None
    for name in sorted(seen - {wanted}):
        was, asked = (f"as on {one}" if one else "on the card itself" for one in (name, wanted))
        remedy = f"give --emulate {name}" if name else "leave --emulate out"
        raise pytest.UsageError(f"{folder.name} was run {was}, not {asked}; {remedy}, or begin a run of its own")


def machine_name(card: CardKind | None = None) -> str:
    """A short name for this kind of machine, without its host name: h100_80gb, h100_80gb_as_t4 or amd_epyc_2cores."""
    about = describe_machine()
    text = about["accelerator"] or f"{processor()} {about['cores']}cores"
    text += f" as {card.name}" if card else ""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
