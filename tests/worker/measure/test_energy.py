"""Energy of a card; a processor has none."""

from bench.worker.measure import energy


def test_a_processor_has_no_joules():
    assert energy.Joules("cpu").joules_spent() is None
