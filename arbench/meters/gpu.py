"""Facts about one GPU from the NVIDIA driver, read through its management library (NVML)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

import torch

Query = Callable[[ModuleType, Any], Any]
"""Reads one fact, given ``pynvml`` and the handle of a GPU."""

FACTS: dict[str, Query] = {
    "driver": lambda nvml, _: nvml.nvmlSystemGetDriverVersion(),
    "clock_sm_mhz": lambda nvml, gpu: float(nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM)),
    "clock_sm_max_mhz": lambda nvml, gpu: float(nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_SM)),
    "clock_memory_max_mhz": lambda nvml, gpu: float(nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_MEM)),
    "clock_applications_mhz": lambda nvml, gpu: float(
        nvml.nvmlDeviceGetApplicationsClock(gpu, nvml.NVML_CLOCK_GRAPHICS)
    ),
    "power_limit_w": lambda nvml, gpu: nvml.nvmlDeviceGetPowerManagementLimit(gpu) / 1000,
    "temperature_c": lambda nvml, gpu: float(nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU)),
    "persistence_mode": lambda nvml, gpu: _enabled(nvml.nvmlDeviceGetPersistenceMode(gpu)),
    "mig": lambda nvml, gpu: _enabled(nvml.nvmlDeviceGetMigMode(gpu)[0]),
}


def gpu_facts(device: str | torch.device) -> dict[str, Any]:
    """Return the driver's facts about a GPU, under the names of ``FACTS``.

    Clocks are in MHz, power in watts, temperature in degrees Celsius. A fact that the driver does not report is
    None; all are where NVML or its library is missing.

    Args:
        device: ``"cuda"`` or ``"cuda:1"``.
    """
    return _read(device, FACTS)


def gpu_clock_mhz(device: str) -> float | None:
    """Return the current clock of a GPU's multiprocessors in MHz; None where the driver does not report it."""
    name = "clock_sm_mhz"
    return _read(device, {name: FACTS[name]})[name]


def _read(device: str | torch.device, queries: dict[str, Query]) -> dict[str, Any]:
    uuid = f"GPU-{torch.cuda.get_device_properties(torch.device(device)).uuid}"
    found: dict[str, Any] = dict.fromkeys(queries)
    with suppress(ImportError):
        import pynvml

        with suppress(pynvml.NVMLError), _handle(pynvml, uuid) as gpu:
            for name, query in queries.items():
                with suppress(pynvml.NVMLError):  # each GPU supports some of them
                    found[name] = query(pynvml, gpu)
    return found


@contextmanager
def _handle(nvml: ModuleType, uuid: str) -> Iterator[Any]:
    nvml.nvmlInit()
    try:
        yield nvml.nvmlDeviceGetHandleByUUID(uuid)
    finally:
        nvml.nvmlShutdown()


def _enabled(state: int) -> str:
    return "Enabled" if state else "Disabled"
