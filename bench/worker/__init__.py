"""A case at work, inside its own process. With predict/trace/ the only room that imports torch at module level.

    case.py           runs a case and returns its record's fields
    setup.py          device, model, task, method, weights and examples of a case
    first_method.py   the base of a method that starts from another's result
    stepper.py        a case's optimizer steps one by one, for benchmarks
    figures.py        figures that are counted: FLOPs, parameters, bytes, inference
    emulate.py        a smaller card emulated on a larger one
    device.py         waiting for a device
    quiet.py          libraries made quiet
    warned.py         the warnings of a case
    build/            the base model, its storage and the adapter; in build/tuners/, adapters that peft lacks
    train/            batches, losses, steps and the loop
    ask/              prompts, generation and probes
    measure/          seconds, bytes, FLOPs, joules and parameters
    check/            evidence that training happened; in check/libraries/, what libraries do by themselves
    keep/             trained weights kept in the run's folder, loaded and merged
    late_imports.py   modules that libraries import at their first use, loaded before workers are forked
    timeline.py       a case's wall time by stage

Everything that torch returns becomes plain data here, so that no other room needs torch.

May import: core, machine, models, methods, recipes, probes, sources, tasks, records.
"""
