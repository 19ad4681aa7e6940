"""Memory that a process can still allocate, on the host or on a GPU."""

from __future__ import annotations

from pathlib import Path

import psutil  # type: ignore[import-untyped]

try:
    import resource
except ImportError:  # there is none on Windows
    resource = None  # type: ignore[assignment]

CGROUPS, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def available_bytes(device: str = "cpu") -> int:
    """Return how many bytes this process can still allocate on a device.

    On the host that is the least of what the machine has available, what the control groups of the process leave (in a
    container, under a batch scheduler or systemd), and what the limit of its address space leaves. Swap does not count.

    Args:
        device: 'cpu', 'cuda' or 'cuda:1'.
    """
    if device != "cpu":
        import torch

        return torch.cuda.mem_get_info(torch.device(device))[0]
    left = [psutil.virtual_memory().available, *_left_in_cgroups()]
    if resource is not None and (limit := resource.getrlimit(resource.RLIMIT_AS)[0]) != resource.RLIM_INFINITY:
        left.append(limit - psutil.Process().memory_info().vms)
    return max(0, min(left))


def _left_in_cgroups() -> list[int]:
    """Return what each control group above this process leaves, of version 2 or 1."""
    try:
        lines = OWN.read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            place, limit, used, cache = CGROUPS, "memory.max", "memory.current", ("inactive_file", "active_file")
        elif "memory" in controllers.split(","):
            place, cache = CGROUPS / "memory", ("total_inactive_file", "total_active_file")
            limit, used = "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        folder = place / path.lstrip("/")
        for group in (folder, *folder.parents):
            if (most := _number(group / limit)) is not None:
                now = (_number(group / used) or 0) - _counted(group / "memory.stat", cache)
                found.append(most - now)
            if group == place:
                break
    return found


def _number(path: Path) -> int | None:
    """Return the number in a file; None if there is no file, or no limit in it."""
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _counted(path: Path, names: tuple[str, str]) -> int:
    """Return the sum of two counters in a file of lines with a name and a number, 0 for one that is not there.

    The system counts the pages of files as memory in use, and frees them where memory is needed.
    """
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.split()[0] in names)
