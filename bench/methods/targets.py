"""Which modules a method adapts, by the model's family."""

from bench.models import ModelEntry


def query_value(model: ModelEntry) -> tuple[str, ...]:
    return model.family.query_value


def all_linear(model: ModelEntry) -> tuple[str, ...]:
    return model.family.all_linear


def keys_values_feedforward(model: ModelEntry) -> tuple[str, ...]:
    return model.family.keys_values_feedforward


def nothing(model: ModelEntry) -> tuple[str, ...]:
    return ()
