"""Variants: tasks with another recipe, for a source's sweeps. Each is one table in its parent's recipe file.

`[variants.1x8]` in fixtures/recipes/support.toml makes the task support_1x8, so that its cases have their own ids.
A variant is slow and runs LoRA alone unless it is named.
"""

from dataclasses import replace

from bench.core.files import BadFile
from bench.recipes.files import variants_of
from bench.tasks import TASKS


def register() -> None:
    for task in list(TASKS):
        try:
            names = variants_of(task.name)
        except BadFile:
            continue  # reported in one sentence when the recipe is read
        for name in names:
            says = f"{task.says}, variant {name}"
            TASKS.put(f"{task.name}_{name}", replace(task, name=f"{task.name}_{name}", says=says, variant_of=task.name))


register()
