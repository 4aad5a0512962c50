"""pytest's side: options, cases as parameters, records handed to tests, the final table.

    options.py     the command line
    session.py     the run: executor and records
    same_card.py   the check that a run stays with one card
    progress.py    progress lines while a case runs
    hooks.py       cases as parameters, fixtures, the queue
    selecting.py   tests that cannot run here are deselected and summed up
    broken_cases.py  a case that broke fails once
    outcomes.py    how the session's tests end
    interrupts.py  Ctrl-C and SIGTERM
    summary.py     the final table, the pages that hold it, the exit code
    benchmarks.py  what pytest-benchmark's files and tables leave out
    claiming.py    claims as parameters, and their verdicts
    exit_codes.py  the exit codes that a session has beside pytest's own, far above those
    ini.py         pytest's markers and warning filters of this project, registered by the plugin
    libraries.py   tiny models as parameters of the libraries' checks, and known faults
    regression.py  a session compared with a baseline
    report_file.py   the session as one HTML page (--report), and the claims' verdicts
    reports.py     the door for what tests say
    suites.py      lets `lorabench test` find the suites from any folder
    tested.py      how the tests ended, kept with the run
    unjudged.py    records that no threshold judges

Workers import torch; pytest's process does not.

May import: every room.
"""

# What pytest loads: each after those that it imports, because pytest rewrites assertions before an import. What ends a
# session runs in the opposite order: summary sets the exit code, tested keeps it, then report_file shows it.
PLUGINS = (
    "bench.plugin.hooks", "bench.plugin.selecting", "bench.plugin.broken_cases", "bench.plugin.outcomes",
    "bench.plugin.interrupts", "bench.plugin.summary", "bench.plugin.benchmarks", "bench.plugin.claiming",
    "bench.plugin.reports", "bench.plugin.tested", "bench.plugin.report_file", "bench.plugin.regression",
    "bench.plugin.libraries",
)  # fmt: skip
