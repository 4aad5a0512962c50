"""The traced prediction: the real code on fake tensors, its storages followed.

Loads torch, so the rest of the house imports it inside functions only.

May import: core, machine, models, methods, recipes, sources, tasks, records, worker.
"""
