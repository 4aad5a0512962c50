"""Plain data that every room shares: a case's name, a recipe's fields, registries, paths and files.

May import: nothing of the house.
"""
