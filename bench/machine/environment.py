"""The environment of a record: machine, device, libraries and commit."""

import hashlib
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.core.paths import INSTALLED, PACKAGE, ROOT

LIBRARIES = (
    "torch", "transformers", "peft", "bitsandbytes", "accelerate", "datasets", "tokenizers", "safetensors",
    "seqeval", "scikit-learn", "lm-eval", "fvcore", "numpy", "pytest-benchmark",
)  # fmt: skip
MAIN = ("torch", "transformers", "peft", "bitsandbytes")  # the libraries that people upgrade
CODE = "code"  # the key of the hash of the code that measures
MEASURING = ("core", "machine", "models", "methods", "recipes", "probes", "sources", "tasks", "records", "worker")
COMMIT = "LORABENCH_COMMIT"  # names the commit if the code was copied without its .git


@cache
def library_versions() -> dict[str, str | None]:
    """The installed version of each library; None if it is not installed."""

    def version_of(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    return {name: version_of(name) for name in LIBRARIES}


@cache
def distributions() -> dict[str, str]:
    """Every installed distribution with its version; the first on sys.path counts, as for an import.

    Read from the names of their folders, because parsing a hundred metadata files takes longer than a small case.
    """
    found: dict[str, str] = {}
    for folder in sys.path:
        for path in sorted(Path(folder or ".").glob("*.dist-info")):
            name, _, installed = path.name.removesuffix(".dist-info").partition("-")
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), installed)
    return dict(sorted(found.items()))


def distributions_digest() -> str:
    """A hash of every distribution and its version."""
    lines = "".join(f"{name}=={installed}\n" for name, installed in distributions().items())
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def git(*words: str) -> str | None:
    """Git's output about this checkout; None outside one."""
    if INSTALLED:  # a virtual environment may lie in a user's own repository
        return None
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@cache
def code_digest(package: Path = PACKAGE) -> str:
    """A hash of the code that decides what a case measures. Judging, reports and commands do not change figures."""
    digest = hashlib.sha256()
    for path in sorted(path for room in MEASURING for path in (package / room).rglob("*.py")):
        digest.update(f"{path.relative_to(package).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return f"sha256:{digest.hexdigest()}"


@cache
def processor() -> str:
    """The processor's model name."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def named_threads() -> int:
    """The number of threads that OMP_NUM_THREADS names; 0 if it names none."""
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # "4,2": 2 is for nested loops
    return int(wanted) if wanted.isdecimal() else 0


@cache
def describe_machine() -> dict[str, Any]:
    """The machine and its libraries, which do not change within a session; does not import torch."""
    from bench.machine.devices import cards

    status = git("status", "--porcelain")
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "accelerator": cards()[0].name if cards() else None,
        "driver": cards()[0].driver if cards() else None,
        "libraries": library_versions(),
        "distributions": distributions_digest(),
        "lorabench": distributions().get("lorabench"),
        "commit": git("rev-parse", "HEAD") or os.environ.get(COMMIT),
        CODE: code_digest(),
        "dirty": bool(status) if status is not None else None,
    }


def version_words(environment: Mapping[str, Any]) -> str:
    """The main libraries with their versions: torch 2.13.0, transformers 5.23.0, peft 0.21.2."""
    versions = environment.get("libraries", {})
    return ", ".join(f"{name} {versions[name]}" for name in MAIN if versions.get(name))


def machine_words(environment: Mapping[str, Any]) -> str:
    """The versions and the machine in one line."""
    cores = f"{environment['cores']} cores" if environment.get("cores") else ""
    machine = [environment.get("accelerator"), environment.get("processor"), cores]
    return f"{version_words(environment)}; {', '.join(filter(None, machine))}"


def describe_worker(device: str) -> dict[str, Any]:
    """The machine, and how torch is set up in this process."""
    import torch

    more: dict[str, Any] = {
        "device": device,
        "threads": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability(),  # the processor's, which decides how sums round
    }
    if device.startswith("cuda"):
        more["cudnn"] = torch.backends.cudnn.version()
        more["compute_capability"] = list(torch.cuda.get_device_capability(device))
        more["cuda"] = torch.version.cuda
        older = os.environ.get("PYTORCH_CUDA_ALLOC_CONF", "")
        more["allocator"] = os.environ.get("PYTORCH_ALLOC_CONF") or older
    return {**describe_machine(), **more}
