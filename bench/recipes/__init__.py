"""Recipes: files of hyperparameters, and the recipe of one case.

May import: core, machine, models, methods.
"""
