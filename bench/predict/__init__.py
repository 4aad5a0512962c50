"""Predicted memory of a training step, without a card and without weights, in two independent ways.

    question.py      the question: model, method, recipe, labels
    terms.py         what the bytes of a step belong to, and its phases
    course.py        a case's batches in order, as extents
    storage_log.py   which storages a step allocates and frees
    formula/         the closed form: terms added up from the architecture's numbers
    trace/           the real code on fake tensors, with a record of its storages
    card/            a card's allocator, what fits, and the largest size that fits
    both.py          both predictions of a question
    prediction.py    a prediction, as plain data

Only trace/ loads torch, and only when it is asked for.

May import: core, machine, models, methods, recipes, sources, tasks, records.
"""
