"""Bytes: peaks of a phase, on CUDA from torch's allocator and NVML, on CPU from the kernel and from tensors.

Three figures that are never mixed: *allocated* is what tensors hold, *reserved* what the allocator or the
process keeps, *driver* what NVML says the process takes, context included.
"""

import contextlib
import gc
import os
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bench.records.record import PROCESS

CLEAR_PEAK = "5"  # what resets VmHWM when written to clear_refs (Linux, proc(5))
NO_PHASES = (
    "the kernel does not let a process start its peak of memory again: the peak is of the whole process so far, "
    "of checks and probes too, and not of a phase"
)
ROUNDING = 512  # CUDA's allocator hands out multiples of this many bytes; used on CPU too, to be comparable


def resident_peak_bytes() -> int:
    """Highest resident set of this process since the last reset."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    unit = 1 if os.uname().sysname == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def reset_resident_peak() -> bool:
    """Reset the peak; False if the kernel does not allow it, so that the peak stays the whole process's."""
    try:
        Path("/proc/self/clear_refs").write_text(CLEAR_PEAK)
    except OSError:
        return False
    return True


def driver_bytes(device: str) -> int | None:
    """Bytes of this process on the card by NVML; None if NVML does not know."""
    import pynvml

    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        used = [p.usedGpuMemory for p in pynvml.nvmlDeviceGetComputeRunningProcesses(handle) if p.pid == os.getpid()]
    except pynvml.NVMLError:
        return None
    return used[0] if used else None


def highest(*figures: int | None) -> int | None:
    """The highest of the figures that are known; None, and not 0, where none is."""
    return max((figure for figure in figures if figure is not None), default=None)


def free_bytes(device: str) -> int | None:
    """Bytes that tensors of this process can still take on the card, within its cap; None for a processor."""
    if device == "cpu":
        return None
    free, total = torch.cuda.mem_get_info(device)
    allocated = torch.cuda.memory_allocated(device)
    unused = torch.cuda.memory_reserved(device) - allocated  # what the allocator keeps is free for tensors
    cap = torch.cuda.get_per_process_memory_fraction(device) * total
    return round(min(free + unused, cap - allocated))


class Phases:
    """Peak bytes of each named phase of a case: `with phases("train"): ...`.

    A phase inside another interrupts it, so that evaluating after an epoch is no part of training; a phase
    entered again keeps its highest peak. Where the kernel does not let the peak be started again, what is seen is the
    highest of the process so far, of whatever phase; it is kept under PROCESS alone then, and `reasons` says so.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.peaks: dict[str, dict[str, int | None]] = {}
        self._outer: list[str] = []
        self.resettable = device != "cpu" or reset_resident_peak()
        if device != "cpu":
            torch.cuda.init()  # an allocator that does not exist yet refuses to start its peak again

    @contextlib.contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self._keep()
        self._outer.append(name)
        yield
        self._keep()
        self._outer.pop()

    def _keep(self) -> None:
        """Add the peak since the last reset to the phase that is open, and start again."""
        if self._outer:
            name = self._outer[-1] if self.resettable else PROCESS
            seen, kept = self._peak(), self.peaks.get(name, {})
            self.peaks[name] = {key: highest(value, kept.get(key)) for key, value in seen.items()}
        self._reset()

    def _reset(self) -> None:
        gc.collect()  # a model that went before may wait in a cycle
        if self.device == "cpu":
            if self.resettable and not reset_resident_peak():
                self._merge_phases()
        else:
            torch.cuda.empty_cache()  # what an earlier phase reserved is not this one's
            torch.cuda.reset_peak_memory_stats(self.device)

    def _merge_phases(self) -> None:
        """Keep what was seen as the process's: from here on no peak is of one phase."""
        self.resettable = False
        if self.peaks:
            self.peaks = {PROCESS: {"resident_bytes": self.highest()}}

    @property
    def reasons(self) -> list[str]:
        return [] if self.resettable else [NO_PHASES]

    def _peak(self) -> dict[str, int | None]:
        if self.device == "cpu":
            return {"resident_bytes": resident_peak_bytes()}
        torch.cuda.synchronize(self.device)
        return {
            "allocated_bytes": torch.cuda.max_memory_allocated(self.device),
            "reserved_bytes": torch.cuda.max_memory_reserved(self.device),
            "driver_bytes": driver_bytes(self.device),
        }

    def highest(self) -> int:
        """The case's peak: reserved bytes on CUDA, resident bytes on CPU, or of PROCESS where phases have none."""
        key = "resident_bytes" if self.device == "cpu" else "reserved_bytes"
        return max((peak[key] or 0 for peak in self.peaks.values()), default=0)


def quantisation_tensors(model: Any) -> Iterator[torch.Tensor]:
    """The scales of bitsandbytes' packed weights, which are neither parameters nor buffers."""
    for module in model.modules():
        weight = getattr(module, "weight", None)
        state = getattr(weight, "quant_state", None)
        while state is not None:
            yield from (tensor for tensor in (state.absmax, state.code, state.offset) if tensor is not None)
            state = state.state2
        for holder in (weight, getattr(module, "state", None)):  # int8's scales move from the one to the other
            scales = getattr(holder, "SCB", None)
            if scales is not None:
                yield scales


def one_phase() -> str:
    return ""


def one_term(tensor: torch.Tensor, phase: str) -> str | None:
    return ""


def plainly(operation: Any, arguments: Any, keywords: Any) -> Any:
    return operation(*arguments, **keywords)


class LiveStorages(TorchDispatchMode):
    """Follow every tensor storage that operations make: the bytes alive, their peak, and what they are of.

    A storage counts from the operation that returns it until its last reference goes, rounded up to 512
    bytes. What an operation allocates and frees inside itself is not seen. Repeats exactly, on real
    tensors and on fake ones. With a device ("cuda:0") only storages of its kind count, and not what was
    moved to the host.

    phase_of() names the phase that is on, term_of(tensor, phase) what a new storage is of (None: it does not
    count), and peaks[phase] are the bytes by term when that phase held most. run(operation, arguments, keywords)
    does the operation. log has what was made and let go in order: a positive entry made a storage of so many
    bytes, ~n let go the one that entry n made.
    """

    def __init__(
        self,
        device: str = "",
        phase_of: Callable[[], str] = one_phase,
        term_of: Callable[[torch.Tensor, str], str | None] = one_term,
        run: Callable[..., Any] = plainly,
    ) -> None:
        super().__init__()
        self.kind = device.split(":")[0]
        self.live_bytes = 0
        self.peak_bytes = 0
        self.terms: dict[str, int] = {}
        self.peaks: dict[str, dict[str, int]] = {}
        self.log: list[int] = []
        self._highest: dict[str, int] = {}
        self._phase_of = phase_of
        self._term_of = term_of
        self._run = run
        self._seen: dict[int, tuple[Any, list[Any]]] = {}  # storage -> its weak reference, [term, bytes]

    def add(self, tensor: torch.Tensor, term: str | None = None) -> None:
        """Count the tensor's storage, once; of this term, or as term_of says."""
        if tensor.layout == torch.sparse_coo:  # which has no storage but those of its places and its values
            self.add(tensor._indices(), term)
            self.add(tensor._values(), term)
            return
        kind = tensor.device.type
        if kind == "meta" or (self.kind and kind != self.kind):
            return
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._seen:
            return
        phase = self._phase_of()
        term = self._term_of(tensor, phase) if term is None else term
        size = 0 if term is None else -(-storage.nbytes() // ROUNDING) * ROUNDING
        about: list[Any] = [term or "", size]
        number = len(self.log)

        def note_free(_: Any) -> None:
            self._seen.pop(key, None)
            self.live_bytes -= size
            self.terms[about[0]] -= size
            if size:
                self.log.append(~number)

        self._seen[key] = weakref.ref(storage, note_free), about
        if size:
            self.log.append(size)
        self.live_bytes += size
        self.terms[about[0]] = self.terms.get(about[0], 0) + size
        self.peak_bytes = max(self.peak_bytes, self.live_bytes)
        if self.live_bytes > self._highest.get(phase, 0):
            self._highest[phase] = self.live_bytes
            self.peaks[phase] = dict(self.terms)

    def relabel(self, tensor: torch.Tensor, term: str) -> None:
        """Change the term of the tensor's storage; one that is not followed is counted from now on."""
        followed = self._seen.get(tensor.untyped_storage()._cdata)
        if followed is None:
            self.add(tensor, term)
            return
        about = followed[1]
        self.terms[about[0]] -= about[1]
        about[0] = term
        self.terms[term] = self.terms.get(term, 0) + about[1]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = self._run(func, args, kwargs or {})
        if isinstance(result, torch.Tensor):
            self.add(result)
        elif isinstance(result, (tuple, list)):
            torch.utils._pytree.tree_map_only(torch.Tensor, self.add, result)
        return result
