"""Reports: tables and pages for people, one file per subject. They show verdicts and decide nothing.

May import: core, machine, methods, models, probes, tasks, records, predict, judge, upgrade, campaign.
"""
