"""Records: what running a case once gave, its figures by name, and the folder of a run.

A record is plain data, so that a run can be judged again on another machine, without torch.

May import: core, machine, probes.
"""
