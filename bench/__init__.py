"""lorabench: claims about parameter-efficient fine-tuning become tests that pass or fail on your hardware.

The house, floor by floor: a room imports from rooms above it in this list, and its own `__init__` says which.

    core/        plain data: case, recipe, registry, paths, files
    machine/     devices, kinds of cards, the environment
    models/      models, their shapes and prompts
    methods/     methods, their parameter formulas and tolerances
    recipes/     files of hyperparameters, and the recipe of a case
    probes/      questions asked before and after training
    sources/     where weights, data and tokenizers come from
    tasks/       what a model is tuned for, and how it is scored
    records/     what running a case gave: record, figures, stored runs
    executor/    each case in its own process
    worker/      a case at work: build, train, ask, measure, check; with predict/trace/ the only room with torch
    predict/     memory predicted by formula and by trace, and what fits on a card
    plan/        which cases run, with which recipe and data
    judge/       verdicts: thresholds, claims, scores, predictions compared
    upgrade/     the same cases with other libraries, and the two runs compared
    campaign/    what waits for a card, chosen and run
    report/      tables and pages
    app/         the same pages live, in a browser, and a page to ask kept adapters
    plugin/      the door for pytest
    commands/    the door for `python -m bench`

select (plan) -> run (executor, worker) -> record (records) -> judge -> report.
"""

__version__ = "0.2.0"
