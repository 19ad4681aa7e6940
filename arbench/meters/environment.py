"""The environment of a measurement: hardware, software and settings that a comparison must take into account.

The facts contain no names of hosts or users, and no paths.
"""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
import torch

from arbench.meters.gpu import gpu_facts

Facts = dict[str, Any]

VOLATILE = ("load", "cpu.frequency_mhz", "gpu.clock_sm_mhz", "gpu.temperature_c")
"""Entries that change without any action of the user; ``differences`` ignores them."""

_SYS_CPU = Path("/sys/devices/system/cpu/cpu0")
_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_PROC_BIND",
    "OMP_WAIT_POLICY",
    "KMP_AFFINITY",
    "KMP_BLOCKTIME",
    "GOMP_CPU_AFFINITY",
)


def environment(device: str) -> Facts:
    """Return the facts about this machine and process.

    Args:
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``; a GPU is described as well.

    Returns:
        Nested facts: ``cpu``, ``gpu`` (None on the CPU), ``threads``, ``versions``, ``torch``, ``os``, ``load``. A
        fact that cannot be read is None.
    """
    where = torch.device(device)
    return {
        "cpu": _cpu(),
        "gpu": _gpu(where) if where.type == "cuda" else None,
        "threads": {
            "torch": torch.get_num_threads(),
            "torch_interop": torch.get_num_interop_threads(),
            "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
        },
        "versions": _versions(),
        "torch": _torch_build(),
        "os": {
            "system": platform.system(),
            "kernel": platform.release(),
            "machine": platform.machine(),
            "libc": " ".join(platform.libc_ver()).strip() or None,
        },
        "load": _load(),
    }


def differences(a: Facts, b: Facts) -> list[str]:
    """Return the sorted dotted names of the facts that differ between two environments, except volatile ones."""
    left, right = dict(_flat(_comparable(a))), dict(_flat(_comparable(b)))
    return sorted(
        name
        for name in left.keys() | right.keys()
        if left.get(name) != right.get(name)
        and not any(name == each or name.startswith(f"{each}.") for each in VOLATILE)
    )


def _comparable(facts: Facts) -> Facts:
    """Return the facts with the driver as text: older files store a number for a version of two parts."""
    gpu = facts.get("gpu")
    if not gpu or "driver" not in gpu:
        return facts
    return {**facts, "gpu": {**gpu, "driver": str(gpu["driver"])}}


def caches() -> dict[str, int]:
    """Return the data and unified caches of the first core: ``{"L1d": bytes, "L2": ..., "L3": ...}``.

    The result is empty where the system does not report them.
    """
    found = {}
    for index in sorted(_SYS_CPU.glob("cache/index*")):
        kind, level, size = (_text(index / name) for name in ("type", "level", "size"))
        if kind in ("Data", "Unified") and level and size:
            found[f"L{level}{'d' if kind == 'Data' else ''}"] = _bytes(size)
    return found


def _flat(facts: Facts, prefix: str = "") -> list[tuple[str, Any]]:
    flat = []
    for name, value in facts.items():
        if isinstance(value, dict) and value:
            flat += _flat(value, f"{prefix}{name}.")
        else:
            flat.append((prefix + name, value))
    return flat


def _cpu() -> Facts:
    frequency = None
    with suppress(OSError, NotImplementedError, AttributeError):  # containers hide it
        frequency = psutil.cpu_freq()
    return {
        "model": _cpu_model(),
        "physical_cores": psutil.cpu_count(logical=False),
        "logical_cores": psutil.cpu_count(logical=True),
        "usable_cores": _usable_cores(),
        "caches": caches(),
        "frequency_mhz": round(frequency.current) if frequency else None,
        "frequency_max_mhz": round(frequency.max) if frequency and frequency.max else None,
        "governor": _text(_SYS_CPU / "cpufreq/scaling_governor"),
        "memory_bytes": psutil.virtual_memory().total,
        "capability": torch.backends.cpu.get_cpu_capability(),
    }


def _cpu_model() -> str | None:
    for line in (_text(Path("/proc/cpuinfo")) or "").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or None


def _usable_cores() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _gpu(device: torch.device) -> Facts:
    properties = torch.cuda.get_device_properties(device)
    return {
        "name": properties.name,
        "memory_bytes": properties.total_memory,
        "multiprocessors": properties.multi_processor_count,
        "capability": f"{properties.major}.{properties.minor}",
        "l2_bytes": properties.L2_cache_size,
        **gpu_facts(device),
    }


def _versions() -> Facts:
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda,
        "triton": _installed("triton"),
        "numpy": np.__version__,
        "numba": _installed("numba"),
        "arbench": _installed("arbench"),
    }


def _installed(package: str) -> str | None:
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return None


def _torch_build() -> Facts:
    return {
        "mkl": torch.backends.mkl.is_available(),
        "mkldnn": torch.backends.mkldnn.is_available(),
        "openmp": torch.backends.openmp.is_available(),
        "cudnn": torch.backends.cudnn.version() if torch.backends.cudnn.is_available() else None,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
    }


def _load() -> Facts:
    one, five, fifteen = os.getloadavg()
    cores = _usable_cores() or 1
    return {"1min": one, "5min": five, "15min": fifteen, "per_cpu": one / cores}


def _text(path: Path) -> str | None:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text().strip()
    return None


def _bytes(size: str) -> int:
    """Return a size such as ``"1024K"`` as a number of bytes."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    return int(size[:-1]) * units[size[-1]] if size[-1] in units else int(size)
