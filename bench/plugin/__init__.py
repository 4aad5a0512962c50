"""pytest's side: options, the matrix as parameters, cases run once, records handed to tests, the final table.

    options.py     what the command line says
    session.py     the run: executor, records, the folder they are written to
    progress.py    what a person sees while a case runs
    hooks.py       the pytest hooks and fixtures

Nothing here imports torch or transformers; workers do.
"""
