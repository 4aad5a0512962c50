"""What --executor accepts, and what it says where a library or a cluster is missing."""

import sys

import pytest

from bench.executor.cluster.opening import Place, open_cluster, read_place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("local", Place("local")),
        ("ray", Place("ray")),
        ("ray:10.0.0.1:6379", Place("ray", "10.0.0.1:6379")),
        ("slurm", Place("slurm")),
        ("slurm:gpu,long", Place("slurm", "gpu,long")),
    ],
)
def test_executor_is_read(text, place):
    assert read_place(text) == place


@pytest.mark.parametrize("text", ["", "dask", "local:here", "Ray"])
def test_other_executors_are_refused(text):
    with pytest.raises(ValueError, match="give local, ray, ray:ADDRESS, slurm or slurm:PARTITION"):
        read_place(text)


@pytest.mark.parametrize(("engine", "library"), [("ray", "ray"), ("slurm", "submitit")])
def test_missing_library_is_said_with_its_extra(monkeypatch, engine, library):
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, f"bench.executor.cluster.on_{engine}", raising=False)
    with pytest.raises(ConnectionError, match=rf"needs {library}.*; pip install 'lorabench\[{engine}\]'"):
        open_cluster(Place(engine))


def test_only_ray_has_machines_without_this_ones_disk():
    assert [Place(engine).shares_a_disk for engine in ("local", "ray", "slurm")] == [True, False, True]
    assert [Place(engine).is_local for engine in ("local", "ray", "slurm")] == [True, False, False]
