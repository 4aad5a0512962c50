"""Workers as processes of this machine.

    process.py        the parent's side of one worker
    fork_server.py    the parent's side of the process that forks workers
    forking.py        that process
    child.py          inside a worker
    failure.py        what an exception means
    output.py         the end of what a worker wrote
    memory_limit.py   host memory: free, held, and the kernel's killer

Linux only: it reads /proc and asks the kernel for death signals.
"""
