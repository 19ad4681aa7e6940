"""Memory that is available: the least of what the machine, its control groups and the address space leave."""

from __future__ import annotations

import resource
from pathlib import Path
from types import SimpleNamespace

import pytest

from arbench.meters import available, available_bytes

GB = 10**9


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Return a function that pretends a machine of 100 GB with these files of control groups."""

    def make(own: str = "", files: dict[str, str] | None = None, space: int = resource.RLIM_INFINITY) -> None:
        for name, text in (files or {}).items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (tmp_path / "own").write_text(own)
        monkeypatch.setattr(available, "CGROUPS", tmp_path / "cgroup")
        monkeypatch.setattr(available, "OWN", tmp_path / "own")
        monkeypatch.setattr(available.resource, "getrlimit", lambda which: (space, space))
        monkeypatch.setattr(available.psutil, "virtual_memory", lambda: SimpleNamespace(available=100 * GB))
        memory = SimpleNamespace(memory_info=lambda: SimpleNamespace(vms=3 * GB))
        monkeypatch.setattr(available.psutil, "Process", lambda: memory)

    return make


V2 = {
    "memory.max": "max\n",
    "job/memory.max": f"{20 * GB}\n",
    "job/memory.current": f"{15 * GB}\n",
    "job/memory.stat": f"anon 5\ninactive_file {2 * GB}\nactive_file {1 * GB}\n",
    "job/step/memory.max": "max\n",
}
V1 = {
    "memory/job/memory.limit_in_bytes": f"{30 * GB}",
    "memory/job/memory.usage_in_bytes": f"{10 * GB}",
    "memory/job/memory.stat": f"inactive_file 1\ntotal_inactive_file {1 * GB}\ntotal_active_file {2 * GB}\n",
}


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("", {}, 100),
        ("0::/job/step\n", V2, 8),  # 20 - 15, and 3 of them are only cached files
        ("0::/other\n", V2, 100),
        ("0::/\n", {"memory.max": f"{4 * GB}", "memory.current": f"{1 * GB}"}, 3),  # as a container sees itself
        ("0::/\n", {"memory.max": f"{4 * GB}", "memory.current": f"{5 * GB}"}, 0),
        ("7:cpu,cpuacct:/a\n4:memory:/job\n", V1, 23),
    ],
)
def test_control_groups_limit_what_is_available(machine, own, files, expected) -> None:
    machine(own, files)
    assert available_bytes() == expected * GB


def test_the_address_space_limits_it(machine) -> None:
    machine(space=8 * GB)
    assert available_bytes("cpu") == 5 * GB


def test_without_control_groups_the_machine_alone_decides(machine, monkeypatch, tmp_path) -> None:
    machine()
    monkeypatch.setattr(available, "OWN", tmp_path / "none")
    assert available_bytes() == 100 * GB


def test_a_gpu_has_memory_of_its_own(monkeypatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: {1: (5, 9)}[device.index])
    assert available_bytes("cuda:1") == 5


def test_this_machine_has_some() -> None:
    assert 2**20 < available_bytes() < 2**60
