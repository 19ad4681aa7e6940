"""The kernel that its page shows is right, and a checkout to which it is added as the page says measures it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from arbench import meters
from arbench.bench import runner
from arbench.cli import main
from arbench.kernels import KERNELS, Kernel
from arbench.results import read

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "own-kernel.md").read_text(encoding="utf-8")
DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


@pytest.fixture(scope="module")
def shown(load: Callable[[Path], ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    """Return the kernel of the page."""
    (text,) = re.findall(r"<!-- file: rms_norm.py -->\n```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    file = tmp_path_factory.mktemp("own") / "rms_norm.py"
    file.write_text(text, encoding="utf-8")
    kernel: Kernel = load(file).RMS_NORM
    return kernel


@pytest.fixture(scope="module")
def harness(load: Callable[[Path], ModuleType]) -> ModuleType:
    return load(ROOT / "tests" / "kernels" / "harness.py")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_it_agrees_with_its_reference_for_any_strides(dtype: torch.dtype, shown: Kernel, harness: ModuleType) -> None:
    for config in shown.checks:
        given = harness.make(shown, dtype, **config)
        harness.compare(shown, given)
        harness.compare(shown, harness.scattered(given))


def test_it_refuses_what_it_cannot_take(shown: Kernel, said: Callable[..., str]) -> None:
    wrong = said(ValueError, shown.call, torch.ones(2, 8), torch.ones(7))
    assert wrong == "rms_norm: weight must be (8,), at most 32,768 wide, not (7,)"


def test_it_is_measured_once_it_is_among_the_kernels(
    shown: Kernel, load: Callable[[Path], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known: dict[str, Any] = {"copy": [], "read": [], "matmul": {"float32": 1e6}, "timer_s": 1e-7}
    monkeypatch.setitem(KERNELS, shown.name, shown)
    monkeypatch.setattr(runner, "WorkerPool", load(ROOT / "tests" / "workers.py").Inside)
    for room in (runner, meters):
        monkeypatch.setattr(room, "limits", lambda device, threads=None: known)
    words = ["kernels", "--kernel", shown.name, "--compiled", "0", "--rounds", "1", "--workers", "1"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--out", str(tmp_path / "out")])
    assert ended.value.code == 0
    found = [(case.method, case.backend, case.status) for case in read(tmp_path / "out").cases.values()]
    assert found == [("torch", "eager", "ok"), *[("arbench", "triton", "checked")] * len(shown.checks)]


def test_the_page_names_what_a_kernel_has() -> None:
    missing = [one.name for one in fields(Kernel) if not re.search(rf"`{one.name}`|\b{one.name}=", PAGE)]
    assert set(missing) <= {"backends", "gradient_tolerance"}
