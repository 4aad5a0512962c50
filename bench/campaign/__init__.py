"""A campaign on a card: what waits for one, chosen by what it settles in the time that there is, and run.

    entries.py    what waits, from fixtures/campaign.toml
    packages.py   packages that a machine lacks, and what that costs
    estimate.py   an entry's seconds and bytes on a card
    worth.py      what an entry settles: open claims, and peaks and speeds that no record has
    offers.py     what can run here, and why the rest is left out
    choice.py     which entries fit into the minutes, and in which order
    session.py    an entry as a session of pytest that ends at a deadline

May import: core, machine, models, methods, recipes, probes, sources, tasks, records, executor, predict, plan, judge.
"""
