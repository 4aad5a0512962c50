"""The machine: devices and their memory, kinds of cards, and the environment that a record names.

May import: core.
"""
