"""The cluster that --executor names. Ray and submitit are imported only where they are asked for."""

from dataclasses import dataclass
from typing import Protocol

from bench.executor.cluster.agent import Setting
from bench.executor.cluster.engine import Engine
from bench.executor.resources import Node

LOCAL, RAY, SLURM = "local", "ray", "slurm"
PATIENCE_SECONDS = 300.0  # for which a case may wait for a machine that can take it


class Cluster(Protocol):
    """Machines that an engine runs jobs on."""

    def nodes(self) -> tuple[Node, ...]:
        """The machines. Raises ConnectionError if they cannot be reached."""

    def close(self) -> None:
        """Leave the cluster; idempotent."""


@dataclass(frozen=True)
class Place:
    """Where jobs run, as --executor says: local, ray, ray:ADDRESS, slurm, slurm:PARTITION,PARTITION."""

    engine: str = LOCAL
    where: str = ""

    @property
    def is_local(self) -> bool:
        return self.engine == LOCAL

    @property
    def shares_a_disk(self) -> bool:
        """Whether its machines see this machine's cache, so that what is fetched here is there too."""
        return self.engine != RAY


HERE = Place()


def read_place(text: str) -> Place:
    """Raises ValueError for a text that names no executor."""
    engine, _, where = text.partition(":")
    if engine not in (LOCAL, RAY, SLURM) or (engine == LOCAL and where):
        raise ValueError(f"--executor {text!r} is no executor; give local, ray, ray:ADDRESS, slurm or slurm:PARTITION")
    return Place(engine, where)


def open_cluster(place: Place) -> Cluster:
    """The cluster of this place, not reached yet. Raises ConnectionError if its library is not installed."""
    try:
        if place.engine == RAY:
            from bench.executor.cluster.on_ray import RayCluster

            return RayCluster(place.where)
        from bench.executor.cluster.on_slurm import SlurmCluster

        return SlurmCluster([name for name in place.where.split(",") if name])
    except ModuleNotFoundError as error:
        raise ConnectionError(
            f"--executor {place.engine} needs {error.name}; pip install 'lorabench[{place.engine}]'"
        ) from None


def make_engine(place: Place, cluster: Cluster, setting: Setting) -> Engine:
    """The engine that runs jobs on this cluster."""
    if place.engine == RAY:
        from bench.executor.cluster.on_ray import RayCluster, RayEngine

        assert isinstance(cluster, RayCluster)
        return RayEngine(cluster, setting)
    from bench.executor.cluster.on_slurm import SlurmCluster, SlurmEngine

    assert isinstance(cluster, SlurmCluster)
    return SlurmEngine(cluster, setting)
