"""Host memory: how much is free, how much a worker holds, and whether the kernel killed a process for lack of it.

RLIMIT_AS does not work here: CUDA reserves address space far beyond any memory. So the parent reads what a worker's
processes hold and kills them above the limit. Anonymous, shared and swapped pages count. Pages of mapped files
(weights) do not, as the kernel reclaims them when it needs them. The figures come from /proc.
"""

import contextlib
from pathlib import Path

import psutil

from bench.machine.devices import cards, cards_now

RESERVE_FRACTION = 0.1  # of the machine's or container's memory: room for what is allocated between two polls
PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")
HELD = ("RssAnon:", "RssShmem:", "VmSwap:")
HELD_PROPORTIONALLY = ("Pss_Anon:", "Pss_Shmem:", "SwapPss:")


def numbers(path: Path) -> dict[str, int]:
    """The lines "name number …" of a kernel file; empty if the file or its process is gone."""
    try:
        rows = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return {}
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}


def number(path: Path) -> int | None:
    """The single number in a kernel file; None for "max" and for a missing file."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def own_cgroups(proc: Path = PROC, root: Path = CGROUPS) -> list[Path]:
    """The folders of this process's memory cgroup and those above it, of version 2 or 1, as far as visible."""
    try:
        rows = [line.split(":", 2) for line in (proc / "self/cgroup").read_text().splitlines()]
    except OSError:
        return []
    folders = []
    for _, controllers, name in rows:
        if controllers and "memory" not in controllers.split(","):
            continue
        base = root / "memory" if controllers else root
        own = base / name.strip("/")
        folders += [folder for folder in (own, *own.parents) if folder.is_relative_to(base)]
    return [folder for folder in folders if folder.is_dir()]


def cgroup_room(folder: Path) -> tuple[int, int] | None:
    """A cgroup's limit and the free memory below it, in bytes; None if it has no limit."""
    for maximum, current, reclaimable in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        limit, used = number(folder / maximum), number(folder / current)
        if limit is not None and used is not None:
            return limit, limit - used + numbers(folder / "memory.stat").get(reclaimable, 0)
    return None


def memory_room() -> tuple[int, int]:
    """(total, free) memory in bytes that this process may use: the machine's or the tightest cgroup's."""
    machine = psutil.virtual_memory()
    total, available = machine.total, machine.available
    for folder in own_cgroups():
        if room := cgroup_room(folder):
            total, available = min(total, room[0]), min(available, room[1])
    return total, available


def free_bytes(device: str) -> int:
    """What is free now on the processor, or on the first card; as first seen, if NVML no longer answers."""
    return memory_room()[1] if device == "cpu" else (cards_now() or cards())[0].free_bytes


def default_limit() -> int:
    """The memory that a worker started now may hold, in bytes."""
    total, available = memory_room()
    return max(available - int(total * RESERVE_FRACTION), 1)


def kernel_oom_kills(proc: Path = PROC, root: Path = CGROUPS) -> int:
    """The number of processes that the kernel killed for lack of memory: in this cgroup, or else on the machine."""
    for folder in own_cgroups(proc, root)[:1]:
        for name in ("memory.events", "memory.oom_control"):
            if "oom_kill" in (events := numbers(folder / name)):
                return events["oom_kill"]
    return numbers(proc / "vmstat").get("oom_kill", 0)


def held_bytes(pid: int, at_most: int) -> int:
    """Bytes that a process and its descendants hold; 0 if it is gone.

    Forked children share pages with it: the plain sum counts them twice, and the exact sum is slow to read. So the
    exact sum is read only if the plain sum is above at_most.
    """
    family = [pid]
    with contextlib.suppress(psutil.Error):
        family += [child.pid for child in psutil.Process(pid).children(recursive=True)]
    plain = kilobytes([PROC / str(one) / "status" for one in family], HELD)
    if plain <= at_most or len(family) == 1:
        return plain
    return kilobytes([PROC / str(one) / "smaps_rollup" for one in family], HELD_PROPORTIONALLY) or plain


def kilobytes(paths: list[Path], names: tuple[str, ...]) -> int:
    """The sum in bytes of these lines of these files, which the kernel states in units of 1,024 bytes."""
    return 1024 * sum(lines.get(name, 0) for lines in map(numbers, paths) for name in names)
