"""Records: the results of running a case once, its figures by name, and the folder of a run.

A record is plain data, so a run can be judged again on another machine, without torch.

May import: core, machine, probes.
"""
