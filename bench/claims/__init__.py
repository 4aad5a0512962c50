"""Claims of papers, and verdicts on them: plain data and statistics, without torch.

    vocabulary.py     quantities, units, comparators
    entry.py          a claim, and reading one from its TOML table
    book.py           all claims, by id
    verdict.py        a verdict, and the sentence it says
    evidence.py       what claims are judged by: records, counts of data sets, answers about models
    admission.py      which records may speak of a claim; the others are refused by name
    figures.py        a record's figures by name, with their spread
    statistics.py     intervals and tests
    calculations.py   what an arithmetic claim may name
    wording.py        the sentences of measured verdicts
    arithmetic.py structural.py measured.py probe.py counted.py     a judge for each kind of claim
    judge.py          all claims judged, corrected for their number
    gathering.py      the committed runs, and a worker that is asked about models
    scorecard.py      the verdicts as a table

What needs torch (the real model on the meta device, a look into a tiny one) is in bench/structure.py and is
asked for in a worker, once for all claims.
"""
