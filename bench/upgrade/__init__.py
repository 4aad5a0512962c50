"""An upgrade judged: the same cases with the libraries as they are and with others, and the two runs compared.

    overlays.py       distributions installed into folders of their own, put before an environment
    requirements.py   whether what is put together suits each other, by its metadata
    trial.py          both sides run, and compared
    blame.py          which package, and which release of it, made a figure or a test worse
    bisection.py      searches by trials that are good, bad or untestable
    releases.py       releases chosen by a range
    matrix.py         a grid of releases, each set compared with today's
    compatibility.py  what came of a grid, as data
    planting.py       faults planted in the libraries, one function each
    faults.py         which checks catch a planted fault

May import: core, machine, models, methods, recipes, probes, sources, tasks, records, executor, predict, judge.
"""
