"""Sources that a session needs: they reach a worker as they were planned."""

import json
from pathlib import Path

from bench.sources.fetch import NeededSources, look_up
from bench.tasks import TASKS


def test_needed_sources_come_back_from_json_as_they_were():
    needed = NeededSources(("tiny_bert",), Path("a mirror"), True, {"pos": (TASKS["pos"].data, "sample")})
    assert NeededSources.from_plain(json.loads(json.dumps(needed.to_plain()))) == needed


def test_random_weights_and_samples_are_found_without_a_network():
    found = look_up(NeededSources(("tiny_bert",), data={"pos": (TASKS["pos"].data, "sample")}))
    assert found["weights"]["tiny_bert"]["origin"] == "synthetic"
    assert found["rows"]["pos"].startswith("sha256:")
