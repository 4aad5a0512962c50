"""The plan of a session: which cases are selected, with which recipe and data, and whether a card can hold them.

May import: core, machine, models, methods, recipes, probes, sources, tasks, records, executor, predict.
"""
