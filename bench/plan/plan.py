"""The plan of a case in this session: its data, recipe, probes and job, by the command line and the card."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.core.case import Case
from bench.core.recipe import Recipe
from bench.core.work import CaseWork
from bench.executor import Job, Needs, Node
from bench.machine.cards import CardKind, recipe_on
from bench.machine.devices import Card, missing
from bench.machine.environment import describe_machine, named_threads
from bench.models import DECODER, MODELS
from bench.plan.options import Options
from bench.plan.room_on_card import card_bytes, host_bytes, too_small
from bench.probes import PROBES
from bench.recipes.of_case import recipe_for
from bench.records.basis import (
    RESUME,
    RESUME_IN_CLUSTER,
    Basis,
    basis_differences,
    basis_from,
    basis_of,
    differences_text,
)
from bench.records.kept import NONE, kept_folder, lacks_kept
from bench.records.record import Record
from bench.sources.data import size_of
from bench.sources.fetch import NeededSources
from bench.sources.weights import SYNTHETIC
from bench.tasks import TASKS

NO_CARD_IN_CLUSTER = "needs a CUDA device; no machine of the cluster has one"


def threads_for(workers: int) -> int:
    """Threads of each worker: OMP_NUM_THREADS, or else an equal share of the cores."""
    return named_threads() or max(1, describe_machine()["cores"] // workers)


class Plan:
    """What the command line's options make of a case; nothing here runs or is written.

    resources: returns the machines on which the session's executor runs jobs.
    """

    def __init__(self, options: Options, resources: Callable[[], Sequence[Node]]) -> None:
        self.options = options
        self.resources = resources
        self._recipes: dict[Case, Recipe] = {}

    def data_size(self, case: Case) -> str:
        """Sample or full data for this case, as the command line says."""
        return size_of(TASKS[case.task].data, self.options.data, self.options.mirror)

    def is_paper_size(self, case: Case) -> bool:
        """Whether the case's data is so large that it runs only on request."""
        return self.data_size(case) == "full" and TASKS[case.task].data.paper_size

    def recipe(self, case: Case) -> Recipe:
        """The case's recipe by the command line and the emulated card; called for each of its many tests."""
        if case not in self._recipes:
            self._recipes[case] = self._recipe(case)
        return self._recipes[case]

    def _recipe(self, case: Case) -> Recipe:
        given: dict[str, Any] = {"max_steps": self.options.max_steps} if self.options.max_steps else {}
        recipe = recipe_for(case, self.data_size(case), engine=self.options.engine, **given)
        return recipe_on(recipe, card) if (card := self.card(case)) else recipe

    def card(self, case: Case) -> CardKind | None:
        """The card that the case emulates; None for the real card, and for the processor."""
        return None if case.device == "cpu" else self.options.emulate

    def probes(self, case: Case) -> tuple[str, ...]:
        """The families that the case is asked: its task's own and the command line's; none of an encoder."""
        if MODELS[case.model].kind != DECODER:
            return ()
        wanted = {*TASKS[case.task].probes, *self.options.probes}
        return tuple(name for name in PROBES.names() if name in wanted)

    def cannot_run(self, case: Case) -> str:
        """What the case lacks where its job would run; empty if it can run."""
        if case.device == "cpu":
            return ""
        if not self._cards():  # the same sentence for every case
            return missing(case.device) if self.options.place.is_local else NO_CARD_IN_CLUSTER
        if self.options.attempt:
            return ""
        return too_small(case, self.recipe(case), self._cards())

    def _cards(self) -> tuple[Card, ...]:
        """The cards that jobs can run on, with no more room than the emulated one has."""
        there = tuple(card for node in self.resources() if not node.refused for card in node.cards)
        if (kind := self.options.emulate) is None:
            return there
        name = f"{kind.name} (emulated)"
        return tuple(replace(card, name=name, free_bytes=min(card.free_bytes, kind.total_bytes)) for card in there)

    def sources(self, cases: Sequence[Case]) -> NeededSources:
        """The weights and the rows that these cases need."""
        data = {case.task: (TASKS[case.task].data, self.data_size(case)) for case in cases}
        return replace(self.weights_of(cases), data=data)

    def weights_of(self, cases: Sequence[Case]) -> NeededSources:
        """The weights alone that these cases need."""
        models = tuple(sorted({case.model for case in cases}))
        return NeededSources(models, self.options.mirror, self.options.synthetic)

    def is_at_hand(self, sources: NeededSources) -> bool:
        """Whether looking these up costs nothing: the weights are random and the rows are samples."""
        random = sources.synthetic or all(MODELS[name].tiny for name in sources.models)
        return random and all(size == "sample" for _, size in sources.data.values())

    def refusal(self, case: Case, stored: Record, found: dict[str, Any], run: Path) -> str:
        """Why the run's record is not reused for the case; empty if running the case again would give the same.

        found: what look_up reports about the session's weights and rows.
        """
        if not stored.ok:
            return f"it {stored.status.replace('_', ' ')} before"
        asked = {row["family"] for name in ("probes", "probe_losses") for row in stored.tables.get(name, [])}
        wanted = set(self.options.lm_eval) if MODELS[case.model].kind == DECODER else set()
        lacking = [*(set(self.probes(case)) - asked), *(wanted - stored.tables.get("lm_eval", {}).keys())]
        if lacking:
            return f"{', '.join(sorted(lacking))} was not asked"
        if lacks_kept(stored, run, self.options.keep):
            return f"its weights were not kept as --keep {self.options.keep} asks"
        weights = found["weights"].get(case.model, {})
        if SYNTHETIC in (stored.weights.get("origin"), weights.get("origin")):
            before, now = (bool(one.get("asked_for")) for one in (stored.weights, weights))
            if before != now:
                return (
                    f"random weights were{'' if before else ' not'} asked for, and now they are{'' if now else ' not'}"
                )
        purpose = RESUME if self.options.place.is_local else RESUME_IN_CLUSTER
        return differences_text(basis_differences(basis_of(stored), self.basis(case, found), purpose))

    def basis(self, case: Case, found: dict[str, Any]) -> Basis:
        """The basis that a record of the case would have in this session."""
        card = self.card(case)
        environment = {**describe_machine(), "threads": self.threads, "emulation": card.name if card else ""}
        rows, weights = found["rows"].get(case.task, ""), found["weights"].get(case.model, {})
        return basis_from(self.recipe(case).digest(), {"rows": rows}, weights, environment)

    @property
    def threads(self) -> int:
        """Threads of a worker, so that simultaneous workers share the cores; 0 in a cluster, whose machines know it."""
        return 0 if not self.options.place.is_local else threads_for(self.options.workers)

    def work(self, case: Case, run: Path | None = None) -> CaseWork:
        """What a worker needs to run the case, and to keep its weights in the run's folder."""
        card = self.card(case)
        keeps = run is not None and self.options.keep != NONE and not self.options.repeat
        return CaseWork(
            case=case,
            recipe=self.recipe(case),
            mirror=self.options.mirror,
            synthetic=self.options.synthetic,
            probes=self.probes(case),
            lm_eval=self.options.lm_eval if MODELS[case.model].kind == DECODER else (),
            threads=self.threads,
            emulate=card.spelling if card else "",
            keep=self.options.keep if keeps else NONE,
            keep_in=kept_folder(run, case.id).absolute() if run and keeps else None,
        )

    def needs(self, case: Case, exclusive: bool = False) -> Needs:
        """What the case needs of a machine. Nothing is predicted of a case that is attempted whatever it needs."""
        recipe, on_card = self.recipe(case), case.device != "cpu"
        return Needs(
            cards=1 if on_card else 0,
            card_memory_bytes=card_bytes(case, recipe) if on_card and not self.options.attempt else 0,
            host_memory_bytes=0 if self.options.attempt else host_bytes(case, recipe),
            exclusive=exclusive,
        )

    def job(
        self, case: Case, function: str, key: str, environment: dict[str, str], run: Path | None = None,
        exclusive: bool = False,
    ) -> Job:  # fmt: skip
        """A job of the case's work for this function of a worker, under a key of the executor's."""
        return Job(key, function, self.work(case, run).to_plain(), self.needs(case, exclusive), environment)
