"""Parameters as they are counted in a model."""

from tiny_trainees import tiny_base, tiny_recipe

from bench.worker.measure import parameters


def test_packed_weights_count_as_the_weights_they_stand_for():
    packed, plain = (
        parameters.count_parameters(tiny_base("tiny_llama", name, tiny_recipe())) for name in ("qlora", "lora")
    )
    assert packed["total_parameters"] == plain["total_parameters"]
