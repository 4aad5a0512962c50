"""The traced prediction: the real code runs on fake tensors, and the trace records its storages.

Loads torch, so the rest of the house imports it inside functions only.

May import: core, machine, models, methods, recipes, sources, tasks, records, worker.
"""
