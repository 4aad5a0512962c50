"""The forms that a question is put in: which tasks train with and probes ask in.

The Alpaca prompt is source 003's (its Fig. 5). Its notebook keeps the "### Input:" part where the input is empty,
and so does everything here.
"""

from typing import Any

HEADING = "###"  # begins each part of the Alpaca prompt; a response that comes to one has ended
ALPACA = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n"
)


def alpaca(instruction: str, given: str = "") -> str:
    """The prompt up to where the response begins."""
    return ALPACA.format(instruction=instruction, input=given)


def chat(said: str, tokenizer: Any) -> str:
    """What the user says in the model's chat template, up to where the model speaks; bare where it has none."""
    if not tokenizer.chat_template:
        return said
    turns = [{"role": "user", "content": said}]
    return tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
