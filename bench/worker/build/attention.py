"""Attention: fused by torch's kernels, or written out as matrix products."""

import contextlib
from collections.abc import Iterator
from typing import Any

from bench.models import ModelEntry

WRITTEN_OUT, FUSED = "eager", "sdpa"  # attention as plain matrix products, or by torch's own kernels


def attention_for(entry: ModelEntry, device: str) -> str:
    """The implementation with which a case of this model trains on the device."""
    # torch's fused attention for processors is slow in the backward pass: half of a step at 100 tokens
    return FUSED if entry.family.fused_attention and device != "cpu" else WRITTEN_OUT


def attention_of(model: Any) -> str:
    """The implementation by which the model computes attention, as transformers calls it."""
    return model.config._attn_implementation


@contextlib.contextmanager
def attention_by(model: Any, implementation: str) -> Iterator[None]:
    """Inside, the model computes attention by this implementation, as transformers calls it."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    before = attention_of(model)
    base.set_attn_implementation(implementation)
    try:
        yield
    finally:
        base.set_attn_implementation(before)
