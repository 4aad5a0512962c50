"""Comparisons of two runs of the same cases, which gate an upgrade, and of one case run by two engines.

finding.py     a state for each figure, and what it means for the exit code
margins.py     how much worse a task's quality may get, from fixtures/gate.toml
exact.py       parameters, FLOPs and bytes
evidence.py    distances and counts that show that a method keeps its promises
traces.py      losses step by step, and where they part first
quality.py     quality over seeds, in two stages
probes.py      answers to probes, item by item
timing.py      seconds of interleaved processes
sides.py       a run as one side of a comparison
outcomes.py    outcomes of tests, with and without a case
fresh.py       whether runs of fresh seeds may decide
runs.py        the comparison of two runs
baselines.py   accepted baselines
calibrate.py   how often the gate is wrong, by simulation
engines.py     our training loop and transformers.Trainer
"""
