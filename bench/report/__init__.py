"""Reports: tables and pages for people, one file per subject. They show what was judged and decide nothing.

May import: core, machine, methods, models, probes, tasks, records, predict, judge.
"""
