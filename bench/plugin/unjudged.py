"""Records that no threshold judges: their test is skipped if the user chose that, and fails otherwise.

A skip that nobody asked for looks like a pass, so only these are skipped:

- random weights of a tiny model, of a source's model, or from --synthetic
- a user's option that changes the recipe, such as --max-steps
- a case beyond the default run for which no threshold was ever measured

Everything is read from the record, so --replay judges a run in the same way.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from bench.core.case import Case
from bench.models import MODELS
from bench.plan.selection import Selection, is_smoke
from bench.recipes.of_case import recipe_for
from bench.records.basis import differences_text, group_of
from bench.records.record import Record
from bench.tasks import TASKS

OPTIONS = {"max_steps": "--max-steps", "engine": "--engine"}  # recipe field -> the option that changes it
ALLOW = "or pass --allow-unjudged"


@dataclass(frozen=True)
class Unjudged:
    """Why a record is not judged, and whether the user chose that."""

    reason: str
    chosen: bool


def in_default_run(case: Case, size: str, own_entries: frozenset[str] = frozenset()) -> bool:
    """Whether `pytest suites` runs the case on every machine, so that it must have a threshold.

    The default run uses the CPU and the samples. own_entries: names of the user's own models, methods and tasks.
    """
    usual = MODELS[case.model].runs_unasked and TASKS[case.task].embedded and is_smoke(case, Selection())
    own = own_entries & {case.task, case.model, case.method}
    return usual and case.device == "cpu" and size == "sample" and not own


def without_metric(record: Record) -> Unjudged | None:
    """Why quality cannot be judged, if the task's metric is missing; None if the record has it."""
    task = TASKS[record.parsed_case().task]
    if task.metric in record.quality and task.metric in record.quality_before:
        return None
    return Unjudged(
        f"its record has no {task.metric}, which {task.name} is judged by; `python -m bench rescore RUN` adds it where "
        "predictions were kept; else run the case again",
        chosen=False,
    )


def without_weights(record: Record) -> Unjudged | None:
    """Why quality cannot be judged at all; None for a record of real weights."""
    if record.quality_judged:
        return None
    model = record.parsed_case().model
    if not MODELS[model].embedded or record.weights.get("asked_for"):
        return Unjudged("random weights: quality is not judged", chosen=True)
    says = next((reason.removeprefix("weights: ") for reason in record.reasons if reason.startswith("weights: ")), "")
    return Unjudged(
        f"{model} was run with random weights and is expected with its own ({says or 'its record does not say why'}); "
        f"`python -m bench fetch {model}` shows what fails; mend it, give --mirror DIR, {ALLOW}",
        chosen=False,
    )


def without_threshold(record: Record, differences: Mapping[str, str] | None, expected: bool) -> Unjudged | None:
    """Why no threshold judges the record; None if one does.

    differences: how the record differs from what its threshold was measured with, None if none was measured;
    expected: whether the record must have a threshold.
    """
    name = group_of(record)
    if differences is None:
        remedy = f"; measure several seeds and write it, {ALLOW}" if expected else ""
        return Unjudged(f"no threshold was measured for {name}{remedy}", chosen=not expected)
    if not differences:
        return None
    if differences.keys() == {"recipe"} and (changed := changed_by_options(record)):
        return Unjudged(f"the threshold of {name} holds without {' and '.join(changed)} only", chosen=True)
    return Unjudged(
        f"the threshold of {name} does not apply: {differences_text(differences)}; "
        f"if the change is meant, measure it anew on several seeds, {ALLOW}",
        chosen=False,
    )


def changed_by_options(record: Record) -> list[str]:
    """The options, with values, that made the record's recipe differ from the files; [] if anything else did.

    The files are today's. They are assumed to be those that the record was run with, unless a field that no option
    changes differs too.
    """
    files = json.loads(json.dumps(asdict(recipe_for(record.parsed_case(), record.recipe["data"]))))
    changed = [name for name, value in files.items() if record.recipe.get(name, value) != value]
    return [f"{OPTIONS[name]} {record.recipe[name]}" for name in changed] if OPTIONS.keys() >= set(changed) else []
