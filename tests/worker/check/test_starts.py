"""What is seen of a method before it trains: each look has a method that answers yes and one that answers no."""

import pytest

from bench.worker.check import looks


@pytest.mark.parametrize(
    ("look", "yes", "no"),
    [
        ("adapts_every_layer", "lora", "prompt"),
        ("starts_as_base", "lora", "prompt"),
        ("scales_by_root_of_rank", "rslora", "lora"),
        ("magnitude_is_norm", "dora", "lora"),
        ("holds_principal_part", "pissa", "olora"),
        ("shares_frozen_matrices", "vera", "lora"),
        ("trains_only_vectors", "ia3", "lora"),
        ("vectors_start_at_one", "ia3", "vera"),
        ("only_virtual_tokens_train", "prefix", "lora"),
    ],
)
def test_look_at_the_start_tells_methods_apart(look, yes, no):
    assert looks.LOOKS[look](yes) is True
    assert looks.LOOKS[look](no) is False
