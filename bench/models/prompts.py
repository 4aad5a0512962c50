"""Prompt formats, shared by tasks (for training) and probes (for asking).

The Alpaca prompt is source 003's (its Fig. 5). Its notebook keeps the "### Input:" part even if the input is empty,
and so does all code here.
"""

from typing import Any

HEADING = "###"  # begins each part of the Alpaca prompt; a response ends where one appears
ALPACA = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n"
)


def alpaca(instruction: str, given: str = "") -> str:
    """The prompt up to the beginning of the response."""
    return ALPACA.format(instruction=instruction, input=given)


def chat(said: str, tokenizer: Any) -> str:
    """The user's text in the model's chat template, up to the model's turn; the bare text if there is no template."""
    if not tokenizer.chat_template:
        return said
    turns = [{"role": "user", "content": said}]
    return tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
