"""Verdicts on records: thresholds, claims of papers, scores, and predictions compared with measurements.

    claims/        claims of papers, and a judge for each kind
    score/         methods ranked by memory, disk, time, quality and truth
    predictions/   predictions compared with cards, publications and earlier versions
    compare/       runs compared with each other

A verdict depends on records alone, so it can be recomputed without running anything.

May import: core, machine, models, methods, recipes, probes, sources, tasks, records, executor, predict.
"""
