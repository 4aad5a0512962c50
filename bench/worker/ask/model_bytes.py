"""Bytes of the weights that answering loads, so that a model that cannot fit is refused before it is loaded.

They are counted from the entry's shapes and the kept files. Activations and caches come on top, and so does the
unpacked base while it is being quantised: what is refused cannot fit, and what is not refused may still not fit.
"""

from bench.core.units import gigabytes_or_megabytes
from bench.methods import INT8, NF4
from bench.models.shapes import linear_layers, total_parameters
from bench.records.kept import ADAPTER
from bench.worker.build.precision import storage_dtype
from bench.worker.emulate import CannotRun
from bench.worker.keep.loading import Tuned

PACKED_BYTES = {NF4: 0.5, INT8: 1.0}  # of a weight, without the scales of its block


def loaded_bytes(tuned: Tuned) -> int:
    """Bytes of the case's own model: the base with its adapter, or the whole model that was kept."""
    kept = sum(path.stat().st_size for path in tuned.folder.glob("*.safetensors"))
    return kept + (base_bytes(tuned) if tuned.kept.what == ADAPTER else 0)


def base_bytes(tuned: Tuned) -> int:
    """Bytes of the base's weights as the case stored them."""
    weights = total_parameters(tuned.entry, len(tuned.kept.labels))
    packed = 0
    if tuned.method.storage in PACKED_BYTES:
        packed = sum(one.inputs * one.outputs for one in linear_layers(tuned.entry))
        packed = weights if tuned.recipe.quantise_head else packed
    plain = (weights - packed) * storage_dtype(tuned.method, tuned.recipe).itemsize
    return plain + int(packed * PACKED_BYTES.get(tuned.method.storage, 0))


def refuse_lack_of_memory(needed: int, free: int, device: str) -> None:
    """Raises CannotRun if the device has fewer bytes free than the weights take."""
    if needed > free:
        raise CannotRun(
            f"the weights of these models take {gigabytes_or_megabytes(needed)} and {device} has "
            f"{gigabytes_or_megabytes(free)} free; name fewer cases, or free memory"
        )
