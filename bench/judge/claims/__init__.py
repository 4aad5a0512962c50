"""Claims of papers, and verdicts on them: plain data and statistics, without torch.

    vocabulary.py     quantities, units, comparators
    claim.py          a claim, and reading one from its TOML table
    book.py           all claims, by id
    grounds.py        what claims are judged by: records, counts of data sets, answers about models
    admission.py      which records may speak of a claim; the others are refused by name
    calculations.py   what an arithmetic claim may name
    row_calculations.py      more of them, on a source's own figures
    adapter_calculations.py  and on the shapes of a model that an adapter sits on
    parameters.py     what a rank means for each method, and counts as sums to do again
    wording.py        the sentences of measured verdicts
    kinds/            a judge for each kind of claim
    coverage.py       the sources part by part: which claims speak of a part, and why none does
    verdicts.py       all claims judged, those of a source corrected for their number
    simulation.py     levels, coverage and power of the statistics, on made-up data
    gathering.py      the committed runs, and a worker that is asked about models

What needs torch (the real model on the meta device, a look into a tiny one) is in bench/worker/check/looks.py and is
asked for in a worker, once for all claims.
"""
