"""The selection of cases: tasks x models x methods x devices x seeds, as far as they fit together.

There is no list of cases. Embedded models run everything their task asks for, on every device; a source's
models run what the source ran, on a GPU; a model with a default task runs that. Options narrow or widen this.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bench.core.case import Case
from bench.core.registry import Registry
from bench.machine.devices import DEVICES
from bench.methods import METHODS
from bench.models import MODELS, ModelEntry
from bench.tasks import TASKS, Task


@dataclass(frozen=True)
class Selection:
    """What the command line names; an empty tuple means what runs by default. Raises UnknownName."""

    tasks: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        registries: dict[str, Registry] = {"tasks": TASKS, "models": MODELS, "methods": METHODS, "devices": DEVICES}
        for field, registry in registries.items():
            for name in getattr(self, field):
                registry[name]


def all_cases(selection: Selection) -> list[Case]:
    """The selected cases: by device, then task, model, method and seed, in the registries' order."""
    return [
        Case(task.name, model.name, method, device, seed)
        for device in choose_names(selection.devices, DEVICES)
        for task in TASKS
        if not selection.tasks or task.name in selection.tasks
        for model in models_for(task, device, selection)
        for method in methods_for(task, model, selection)
        for seed in selection.seeds
    ]


def why_none(selection: Selection) -> str:
    """Why no case is selected: the first named entry that does not fit the rest."""
    tasks = [TASKS[name] for name in choose_names(selection.tasks, TASKS)]
    devices = choose_names(selection.devices, DEVICES)
    models = [model for device in devices for task in tasks for model in models_for(task, device, selection)]
    if models:
        refusals = [METHODS[name].refusal(model) for model in models for name in selection.methods]
    else:
        refusals = [task.refusal(MODELS[name]) for name in selection.models for task in tasks]
    names = ", ".join(task.name for task in tasks)
    unnamed = f"no model runs {names} on {', '.join(devices)} unless it is named; add --models"
    return f"no case is selected: {next(filter(None, refusals), unnamed)}"


def choose_names(names: tuple[str, ...], registry: Registry) -> list[str]:
    return [name for name in registry.names() if not names or name in names]


def models_for(task: Task, device: str, selection: Selection) -> Iterator[ModelEntry]:
    """Named models; by default the embedded ones, those with this task as theirs, and on a GPU a source's."""
    name = task.variant_of or task.name
    for model in MODELS:
        from_source = name in model.source_cases and device != "cpu"
        by_default = (model.runs_unasked and task.embedded) or from_source or model.default_task == task.name
        wanted = model.name in selection.models if selection.models else by_default
        if wanted and task.suits(model):
            yield model


def methods_for(task: Task, model: ModelEntry, selection: Selection) -> list[str]:
    """Named methods; by default the source's for its model, all for any other, and those of sweeps for a variant."""
    usual = tuple(method.name for method in METHODS if method.in_sweeps or not task.variant_of)
    names = selection.methods or (not task.variant_of and model.source_cases.get(task.name)) or usual
    return [name for name in METHODS.names() if name in names and METHODS[name].suits(model)]


def is_smoke(case: Case, selection: Selection) -> bool:
    """Whether the case is quick enough, or asked for by name, to run without `-m slow`."""
    task = TASKS[case.task]
    if task.variant_of:
        return case.task in selection.tasks
    quick = not task.smoke_methods or case.method in task.smoke_methods
    if not task.in_smoke:
        return case.task in selection.tasks and (quick or case.method in selection.methods)
    model = MODELS[case.model]
    if case.method in selection.methods or not model.embedded:
        return True
    return quick and model.runs_unasked
