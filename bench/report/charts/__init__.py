"""Charts of a run, one module for each: what plotly draws, and the same figures as a table.

    chart.py           what every chart has, and how its text is made safe
    marks.py           colours, symbols, dashes and patterns, fixed for each name
    labels.py          short names of cases
    losses.py          training losses
    quality_memory.py  quality against memory
    step_memory.py     memory of a training step beside its prediction
    phase_memory.py    memory of each phase of a case
    live_losses.py     training losses of a session that runs
    seconds.py         seconds of a training step
    confusions.py      confusion matrices
    probes.py          probes by language before and after training

A chart is plain data in plotly's own form, so that building it needs neither plotly nor torch. Every page that shows a
chart takes it from here.
"""
