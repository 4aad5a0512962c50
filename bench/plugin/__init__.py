"""pytest's side: options, the matrix as parameters, cases run once, records handed to tests, the final table.

    options.py     what the command line says
    planning.py    what a case is in this session: data, recipe, probes, job
    run_folder.py  the folder that a run is kept in
    session.py     the run: executor and records
    progress.py    what a person sees while a case runs
    reports.py     what tests say, made safe to show
    hooks.py       the pytest hooks and fixtures
    ini.py         markers and warning filters
    suites.py      which files `lorabench test` runs

Nothing here imports torch or transformers; workers do.
"""

PLUGINS = ("bench.plugin.hooks", "bench.plugin.claiming", "bench.plugin.reports")  # what pytest loads
