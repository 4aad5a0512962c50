"""What a machine is: libraries, threads, cores."""

import json

import torch

import bench.worker
from bench.machine.environment import LIBRARIES, MEASURING, code_digest, describe_machine, describe_worker


def test_environment_has_the_installed_versions():
    found = describe_worker("cpu")
    assert found["libraries"].keys() == set(LIBRARIES)
    assert found["libraries"]["torch"] == torch.__version__
    assert found["libraries"]["transformers"]
    assert found["threads"] == torch.get_num_threads()
    assert found["device"] == "cpu"
    assert json.loads(json.dumps(found)) == found


def test_machine_is_described_for_comparing():
    assert {"python", "system", "processor", "cores", "accelerator", "commit", "dirty"} <= describe_machine().keys()
    assert describe_machine()["cores"] >= 1


def test_the_hash_of_the_code_changes_with_what_measures_and_not_with_what_judges(tmp_path):
    for room in ("worker", "judge"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "step.py").write_text("one = 1\n", encoding="utf-8")
    digest = code_digest.__wrapped__
    before = digest(tmp_path)
    (tmp_path / "judge" / "step.py").write_text("one = 2\n", encoding="utf-8")
    assert digest(tmp_path) == before
    (tmp_path / "worker" / "step.py").write_text("one = 2\n", encoding="utf-8")
    assert digest(tmp_path) != before


def test_every_room_that_the_worker_may_import_is_hashed():
    """A room that measures and is not in the list would change figures unseen."""
    said = bench.worker.__doc__.split("May import: ")[1].strip().rstrip(".")
    assert {*said.split(", "), "worker"} == set(MEASURING)
