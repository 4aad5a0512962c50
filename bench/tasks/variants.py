"""Variants: a task with another recipe, for what a source varied. Each is one table in its parent's recipe file.

`[variants.1x8]` in fixtures/recipes/support.toml makes the task support_1x8, so that its cases have ids of
their own. A variant is slow and runs LoRA alone unless it is named.
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
            continue  # said in one sentence where the recipe is read
        for name in names:
            says = f"{task.says}, variant {name}"
            TASKS.put(f"{task.name}_{name}", replace(task, name=f"{task.name}_{name}", says=says, variant_of=task.name))


register()
