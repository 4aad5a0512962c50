"""What a machine is: libraries, threads, cores."""

import json

import torch

from bench.machine.environment import LIBRARIES, describe_machine, describe_worker


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
