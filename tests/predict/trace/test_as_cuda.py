"""A processor in a card's place leaves torch as it was."""

import torch
from torch.utils import _device

from bench.predict.trace.as_cuda import as_cuda


def test_a_device_as_context_holds_for_torchs_own_factories_afterwards():
    """torch lists its factories once; listed while they are replaced, no later `with torch.device("meta")` would act."""
    _device._device_constructors.cache_clear()
    with as_cuda(), torch.device("cpu"):
        torch.zeros(1)
    with torch.device("meta"):
        assert torch.empty(1).is_meta
