"""How the documents install arbench: from a checkout, and PyTorch for CPUs before anything that would bring CUDA's."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
(TORCH,) = (one for one in NEEDED if one.startswith("torch>"))


def commands(text: str) -> list[str]:
    """Return the commands of a page, in order."""
    shown = re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [line for block in shown for line in block.splitlines()]


def faults(text: str) -> list[str]:
    """Return where the commands of a tutorial would not leave a laptop with arbench and without CUDA's libraries."""
    lines = commands(text)
    cpu = [number for number, line in enumerate(lines) if "whl/cpu" in line]
    own = [number for number, line in enumerate(lines) if line == "pip install ."]
    if not cpu or not own or not lines[0].startswith("git clone "):
        return ["no checkout, no wheel for CPUs, or no arbench"]
    found = ["the wheel for CPUs comes after another one"] if cpu[0] > own[0] else []
    return found + [lines[number] for number in cpu if f"'{TORCH}'" not in lines[number]]


TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")


def test_the_tutorial_leaves_a_laptop_with_arbench_and_without_cuda() -> None:
    assert faults(TUTORIAL) == []


def test_the_page_on_installing_names_the_versions_of_torch_that_the_metadata_allows() -> None:
    lines = commands((ROOT / "docs" / "install.md").read_text(encoding="utf-8"))
    named = [line for line in lines if "pip install 'torch" in line]
    assert named
    assert [line for line in named if f"'{TORCH}'" not in line] == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("git clone URL arbench\n", "", "no checkout, no wheel for CPUs, or no arbench"),
        ("cd arbench\n", "pip install .\n", "the wheel for CPUs comes after another one"),
        ("torch>=2.11,<2.14", "torch", "pip install 'torch' --index-url https://download.pytorch.org/whl/cpu"),
    ],
)
def test_a_step_that_is_missing_or_late_is_noticed(old: str, new: str, fault: str) -> None:
    assert TUTORIAL.count(old) == 1
    assert faults(TUTORIAL.replace(old, new)) == [fault]
