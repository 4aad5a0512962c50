"""Fingerprints of weights: hashes that show which tensors training changed."""

from typing import Any

import torch
from torch import Tensor, nn

WORD = 4  # bytes
HASHED_WORDS = {"cpu": 1 << 17, "cuda": 1 << 20}  # at a time: what a processor's cache holds, few kernels on a card
MIXER = -7046029254386353131  # 2^64 / golden ratio as a signed integer: spreads places over all bits


def fingerprint(model: Any, trained: bool) -> dict[str, int]:
    """A 64-bit hash of each parameter that trains (or that does not), by name."""
    return {
        name: hash_bits(parameter.detach())
        for name, parameter in model.named_parameters()
        if parameter.requires_grad == trained
    }


def hash_bits(tensor: Tensor) -> int:
    """A 64-bit hash of the tensor's bits and their places, on its device: sum of 32-bit word x odd weight mod 2^64.

    A change of any one word changes it, for its weight is odd. Changes of several cancel only where their
    weights' upper halves happen to; words of 64 bits would let signs cancel, for 2^63 (a + b) is 0 for any two
    odd weights, and torch.hash_tensor's exclusive or does not see two words that change places.
    """
    octets = tensor.contiguous().reshape(-1).view(torch.uint8)
    if rest := -len(octets) % WORD:
        octets = nn.functional.pad(octets, (0, rest))
    words = octets.view(torch.int32)
    size = HASHED_WORDS[words.device.type]
    weights = torch.arange(1, min(len(words), size) + 1, device=words.device) * MIXER
    weights = (weights ^ (weights >> 32)) * MIXER | 1
    total = torch.tensor(len(words), device=words.device)
    for part in words.split(size):
        total = total * MIXER + (part.long() * weights[: len(part)]).sum()
    return int(total) % 2**64


def changes(before: dict[str, int], model: Any, trained: bool) -> dict[str, Any]:
    """How many of the tensors changed since before, and of those that train the names of any that did not."""
    after = fingerprint(model, trained)
    same = [name for name, value in before.items() if after[name] == value]
    return {"tensors": len(before), "changed": len(before) - len(same), **({"unchanged": same} if trained else {})}
