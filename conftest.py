"""Loads lorabench's pytest plugin, nothing else."""

pytest_plugins = ["bench.plugin.hooks", "bench.plugin.claiming", "bench.plugin.reports"]
