"""Facts from NVML, with a library that works, fails or is missing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from arbench.meters.environment import environment
from arbench.meters.gpu import FACTS, gpu_clock_mhz, gpu_facts

PROPERTIES = SimpleNamespace(
    uuid="1234", name="a GPU", total_memory=8, multi_processor_count=2, major=9, minor=0, L2_cache_size=4
)
KNOWN = {
    "driver": "550.54.15",
    "clock_sm_mhz": 1755.0,
    "clock_sm_max_mhz": 1980.0,
    "clock_memory_max_mhz": 2619.0,
    "clock_applications_mhz": 1830.0,
    "power_limit_w": 699.5,
    "temperature_c": 41.0,
    "persistence_mode": "Enabled",
    "mig": "Disabled",
}


SM, MEMORY, GRAPHICS = 1, 2, 0
ANSWERS: dict[str, Callable[..., Any]] = {
    "nvmlInit": lambda: None,
    "nvmlShutdown": lambda: None,
    "nvmlSystemGetDriverVersion": lambda: "550.54.15",
    "nvmlDeviceGetHandleByUUID": {"GPU-1234": "handle"}.__getitem__,
    "nvmlDeviceGetClockInfo": lambda gpu, clock: {("handle", SM): 1755}[gpu, clock],
    "nvmlDeviceGetMaxClockInfo": lambda gpu, clock: {("handle", SM): 1980, ("handle", MEMORY): 2619}[gpu, clock],
    "nvmlDeviceGetApplicationsClock": lambda gpu, clock: {("handle", GRAPHICS): 1830}[gpu, clock],
    "nvmlDeviceGetPowerManagementLimit": {"handle": 699_500}.__getitem__,
    "nvmlDeviceGetTemperature": lambda gpu, sensor: {("handle", 0): 41}[gpu, sensor],
    "nvmlDeviceGetPersistenceMode": {"handle": 1}.__getitem__,
    "nvmlDeviceGetMigMode": {"handle": [0, 1]}.__getitem__,
}


class FakeError(Exception):
    """Fake of ``pynvml.NVMLError``."""


class FakeNvml:
    """Fake of the module ``pynvml`` with one GPU.

    Attributes:
        refused: names of functions that raise.
        calls: names of the functions that returned, in order.
    """

    NVMLError = FakeError
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_CLOCK_GRAPHICS = SM, MEMORY, GRAPHICS
    NVML_TEMPERATURE_GPU = 0

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            if name in self.refused:
                raise FakeError(name)
            self.calls.append(name)
            return ANSWERS[name](*args)

        return call

    @property
    def open(self) -> int:
        """The number of initialisations without a shutdown."""
        return self.calls.count("nvmlInit") - self.calls.count("nvmlShutdown")


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that replaces ``pynvml`` by a fake and returns the fake."""

    def put(*refused: str) -> FakeNvml:
        fake = FakeNvml(*refused)
        monkeypatch.setitem(sys.modules, "pynvml", fake)  # type: ignore[arg-type]
        return fake

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: PROPERTIES)
    return put


def test_every_fact_is_read_and_the_library_is_closed_again(nvml) -> None:
    fake = nvml()
    assert gpu_facts("cuda") == KNOWN
    assert fake.open == 0
    assert gpu_clock_mhz("cuda:1") == 1755.0
    assert fake.open == 0


def test_the_clock_is_read_alone(nvml) -> None:
    fake = nvml()
    gpu_clock_mhz("cuda")
    assert fake.calls == ["nvmlInit", "nvmlDeviceGetHandleByUUID", "nvmlDeviceGetClockInfo", "nvmlShutdown"]


def test_a_fact_that_the_gpu_does_not_support_is_none(nvml) -> None:
    fake = nvml("nvmlDeviceGetMigMode", "nvmlDeviceGetApplicationsClock")
    assert gpu_facts("cuda") == KNOWN | {"mig": None, "clock_applications_mhz": None}
    assert fake.open == 0


@pytest.mark.parametrize("refused", ["nvmlInit", "nvmlDeviceGetHandleByUUID"])
def test_without_a_driver_or_a_known_gpu_there_are_no_facts(nvml, refused) -> None:
    fake = nvml(refused)
    assert gpu_facts("cuda") == dict.fromkeys(FACTS)
    assert gpu_clock_mhz("cuda") is None
    assert fake.open == 0


def test_without_the_package_there_are_no_facts(nvml, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert gpu_facts("cuda") == dict.fromkeys(FACTS)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a driver")
def test_the_real_library_without_a_driver(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: PROPERTIES)
    assert gpu_facts("cuda") == dict.fromkeys(FACTS)


def test_the_environment_contains_the_facts(nvml) -> None:
    nvml()
    gpu = environment("cuda")["gpu"]
    assert gpu.pop("name") == "a GPU"
    assert gpu.pop("capability") == "9.0"
    assert {name: gpu.pop(name) for name in KNOWN} == KNOWN
    assert gpu == {"memory_bytes": 8, "multiprocessors": 2, "l2_bytes": 4}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_real_gpu_reports_its_clock() -> None:
    assert gpu_facts("cuda")["driver"]
    assert (gpu_clock_mhz("cuda") or 0) > 100
