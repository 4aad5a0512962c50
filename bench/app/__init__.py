"""The app: pages of stored runs and of kept adapters in a browser. The only room that imports Streamlit.

    serving.py       starts the server: its address, its settings, which requests it answers
    script.py        what Streamlit runs for every page
    pages.py         the pages by their titles
    served.py        what this process serves: folders of runs, and the worker that answers
    stored.py        stored runs, read again when their files change
    asking.py        the worker with the loaded models, for all pages
    showing.py       tables, charts and texts from outside as parts of a page
    comparing.py     what the gate says of two runs as part of a page
    answering.py     one question's answers: generated, drawn, voted on
    runs_page.py     all runs, and one of them
    compare_page.py  two runs, or two cases
    methods_page.py  methods ranked by a person's own weights
    claims_page.py   claims of papers with their verdicts
    fit_page.py      what fits which card
    ask_page.py      a question to a base and its adapters

Pages judge nothing and draw nothing of their own: verdicts come from bench.judge, tables and charts from bench.report.
No module imports torch; models are loaded in a worker of the executor.

May import: core, machine, models, methods, tasks, records, executor, predict, judge, report.
"""
