"""The Alpaca prompt of source 003 (its Fig. 5), which tasks train with and probes ask in.

Its notebook keeps the "### Input:" part where the input is empty, and so does everything here.
"""

ALPACA = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n"
)


def alpaca(instruction: str, given: str = "") -> str:
    """The prompt up to where the response begins."""
    return ALPACA.format(instruction=instruction, input=given)
