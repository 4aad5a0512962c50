"""Jobs on other machines: Ray or Slurm chooses the machine, and lorabench's own executor runs the job there.

An engine alone would start a job that crashed again, say "worker died" instead of which signal it was, and enforce no
limit of memory. So what an engine carries is an agent with an `Executor` of its own, which returns an outcome.

    opening.py   the engine that --executor names
    queue.py     ClusterExecutor: queue, deadlines, second attempts, the same for every engine
    engine.py    Engine: what an engine offers, and what it reports
    agent.py     what runs on a machine
    on_ray.py    Ray
    on_slurm.py  Slurm, by submitit
"""
