"""pytest's side: options, cases as parameters, records handed to tests, the final table.

    options.py     the command line
    session.py     the run: executor and records
    same_card.py   the check that a run stays with one card
    progress.py    progress lines while a case runs
    hooks.py       the pytest hooks and fixtures
    claiming.py    claims as parameters, and their verdicts
    exit_codes.py  the exit codes that a session has beside pytest's own, far above those
    ini.py         pytest's markers and warning filters of this project, registered by the plugin
    regression.py  a session compared with a baseline
    reports.py     the door for what tests say
    suites.py      lets `lorabench test` find the suites from any folder
    tested.py      how each case's tests ended, kept with the run
    unjudged.py    records that no threshold judges

Workers import torch; pytest's process does not.

May import: every room.
"""

PLUGINS = (  # what pytest loads
    "bench.plugin.hooks",
    "bench.plugin.claiming",
    "bench.plugin.reports",
    "bench.plugin.tested",
    "bench.plugin.regression",
)
