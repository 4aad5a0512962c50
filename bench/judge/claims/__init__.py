"""Claims of papers, and verdicts on them: plain data and statistics, without torch.

    vocabulary.py     quantities, units, comparators
    claim.py          a claim, and reading one from its TOML table
    book.py           all claims, by id
    grounds.py        the evidence for verdicts: records, counts of data sets, answers about models
    admission.py      which records may count for a claim; the others are refused by name
    calculations.py   the calculations that an arithmetic claim may name
    row_calculations.py      more of them, on a source's own figures
    adapter_calculations.py  and on the shapes of a model with an adapter
    parameters.py     what a rank means for each method, and counts written as sums to check by hand
    wording.py        the sentences of measured verdicts
    kinds/            a judge for each kind of claim
    coverage.py       the sources part by part: which claims cover a part, or why none does
    verdicts.py       verdicts on all claims, corrected for the number of a source's tests
    simulation.py     levels, coverage and power of the statistics, on simulated data
    gathering.py      the committed runs, and a worker that answers questions about models

What needs torch (the real model on the meta device, a look into a tiny one) is in bench/worker/check/looks.py. A worker
runs it once for all claims.
"""
