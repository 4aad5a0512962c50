"""What waits for a card, from fixtures/campaign.toml: each entry is one selection of pytest suites.

    [llama31_8b-adalora]
    says = "8B by AdaLoRA"
    tasks = ["alpaca_worst"]
    models = ["llama31_8b"]
    methods = ["adalora"]

Every field but `says` is optional; the fields of Entry say what they mean.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from bench.core.case import Case
from bench.core.files import BadFile, read_toml
from bench.core.paths import FIXTURES
from bench.core.recipe import SIZES, Recipe
from bench.core.registry import UnknownName, nearest
from bench.machine.cards import CardKind, read_card, recipe_on
from bench.methods import METHODS
from bench.models import MODELS, ModelEntry
from bench.plan.selection import Selection, all_cases, why_none
from bench.recipes.of_case import recipe_for
from bench.records.figures import FIGURES

FILE = FIXTURES / "campaign.toml"
CARD, PROCESSOR = "cuda", "cpu"
SUITES = ("test_quality.py", "test_cost.py", "test_methods.py")
REHEARSED_STEPS = 2


@dataclass(frozen=True)
class Entry:
    """One selection of pytest suites, or files of tests.

    steps: optimizer steps of a case whose recipe runs for epochs, for the estimate alone; emulate: the card to run as;
    attempt: run even if it is predicted not to fit, where out_of_memory says that it must not fit; tests: files below
    the project's folder, instead of cases, and seconds: what they take; needs: packages that may be missing; loss_by:
    who must compute a loss in chunks, by a record's environment; worth: what it settles that neither a claim nor a
    case's record shows, in claims; figure and least: the figure that one of its cases is to reach.
    """

    name: str
    says: str
    tasks: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    data: str = "full"
    max_steps: int = 0
    steps: int = 0
    emulate: str = ""
    attempt: bool = False
    out_of_memory: bool = False
    engine: str = "bench"
    suites: tuple[str, ...] = SUITES
    tests: tuple[str, ...] = ()
    seconds: float = 0.0
    needs: tuple[str, ...] = ()
    loss_by: str = ""
    worth: float = 0.0
    figure: str = ""
    least: float = 0.0
    device: str = CARD

    @property
    def selection(self) -> Selection:
        return Selection(self.tasks, self.models, self.methods, (self.device,), self.seeds)

    @property
    def cases(self) -> list[Case]:
        return [] if self.tests else all_cases(self.selection)

    @property
    def card(self) -> CardKind | None:
        """The card to run as; None for the real one."""
        return read_card(self.emulate) if self.emulate else None

    def recipe(self, case: Case) -> Recipe:
        """The case's recipe as the session of this entry runs it."""
        given: dict[str, Any] = {"max_steps": self.max_steps} if self.max_steps else {}
        recipe = recipe_for(case, self.data, engine=self.engine, **given)
        return recipe_on(recipe, self.card) if self.card else recipe

    def options(self, mirror: str) -> list[str]:
        """The entry as options of pytest suites."""
        lists = {"tasks": self.tasks, "models": self.models, "methods": self.methods, "seeds": self.seeds}
        words = [word for name, given in lists.items() for word in (f"--{name}", ",".join(map(str, given)))]
        words += ["--devices", self.device, "--data", self.data, "--engine", self.engine]
        words += ["--max-steps", str(self.max_steps)] if self.max_steps else []
        words += ["--emulate", self.emulate] if self.emulate else []
        words += ["--attempt"] if self.attempt else []
        words += ["--mirror", mirror] if mirror else []
        return [*words, "--allow-unjudged", "-m", "slow or not slow"]


def read_entries(path: Path = FILE) -> list[Entry]:
    """The file's entries. Raises BadFile naming file, entry and key of the first mistake."""
    return [read_entry(name, table, f"{path.name} [{name}]") for name, table in read_toml(path).items()]


def read_entry(name: str, table: Any, where: str) -> Entry:
    if not isinstance(table, dict):
        raise BadFile(f"{where}: expected a table, saw {table!r}")
    known = {field.name: field.type for field in fields(Entry) if field.name not in ("name", "device")}
    for key, value in table.items():
        if key not in known:
            near = nearest(key, list(known))
            raise BadFile(f"{where}: no key {key!r}; {f'did you mean {near[0]}?' if near else ', '.join(known)}")
        if not fits(value, known[key]):
            raise BadFile(f"{where}: {key} = {value!r} is of another type than {known[key]}")
    if not table.get("says"):
        raise BadFile(f"{where}: says must be a few words on what is settled")
    made: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    entry = Entry(name, **made)
    if entry.data not in SIZES:
        raise BadFile(f"{where}: data = {entry.data!r} must be one of {', '.join(SIZES)}")
    try:
        reason = "" if entry.tests or entry.cases else why_none(entry.selection)
        card = entry.card
    except (UnknownName, ValueError) as error:
        raise BadFile(f"{where}: {error}") from None
    if reason:
        raise BadFile(f"{where}: {reason}")
    if card and entry.tests:
        raise BadFile(f"{where}: emulate is for cases, and it has tests")
    if entry.figure:
        check_figure(entry.figure, where)
    return entry


def check_figure(name: str, where: str) -> None:
    if name not in FIGURES:
        near = nearest(name, list(FIGURES))
        raise BadFile(f"{where}: no figure {name!r}{f'; did you mean {near[0]}?' if near else ''}")


def fits(value: Any, wanted: Any) -> bool:
    """Whether a TOML value is of the type of Entry's field."""
    if wanted == tuple[str, ...]:
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    if wanted == tuple[int, ...]:
        return isinstance(value, list) and all(type(one) is int for one in value)
    return type(value) is wanted or (wanted is float and type(value) is int)


def rehearsal(entry: Entry) -> Entry:
    """The entry with a tiny model of the same family for each model, on the sample, for a few steps on a processor."""
    models = tuple(dict.fromkeys(tiny_stand_in(MODELS[name]) for name in entry.models))
    return replace(
        entry, models=models, device=PROCESSOR, data="sample", max_steps=REHEARSED_STEPS, emulate="",
        attempt=False, out_of_memory=False, figure="", seeds=(0,),
    )  # fmt: skip


def tiny_stand_in(model: ModelEntry) -> str:
    tiny = (one for one in MODELS if one.tiny and not one.default_task)
    return next(one.name for one in tiny if one.family_name == model.family_name)


def quantised_methods(entry: Entry) -> Iterator[str]:
    """The entry's methods with weights or optimizer states of bitsandbytes."""
    for case in entry.cases:
        recipe = entry.recipe(case)
        if METHODS[case.method].quantised or "8bit" in recipe.optimizer or recipe.quantise_head:
            yield case.method
