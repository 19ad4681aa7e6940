"""The import contracts of pyproject.toml are kept, and each of them notices what it forbids."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("importlinter", reason="needs import-linter, of the dev extra")

ROOT = Path(__file__).parents[1]
LINT = "import sys, importlinter.cli; sys.exit(importlinter.cli.lint_imports())"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LINT]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_contracts_are_kept() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " kept, 0 broken" in result.stdout


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("arbench.bench", "arbench.cli"),
        ("arbench.gate.timing", "arbench.gate.counters"),
        ("arbench.git", "arbench.results"),
        ("arbench.models", "arbench.methods"),
        ("arbench.models.wavenet", "arbench.models.pixelcnn"),
        ("arbench.models.layers", "arbench.models.events"),
        ("arbench.kernels", "arbench.data"),
        ("arbench.results", "arbench.report"),
        ("arbench.stats", "arbench.meters"),
        ("arbench.methods", "arbench.meters"),
        ("arbench.data", "arbench.bench"),
        ("arbench.meters", "arbench.models"),
        ("arbench.stats", "arbench.bench"),
        ("arbench.report", "torch"),
        ("arbench.report.compare", "arbench.report.history"),
    ],
)
def test_a_forbidden_import_is_noticed(tmp_path: Path, module: str, imported: str) -> None:
    for name in ("arbench", "kernels"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    path = tmp_path.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    with file.open("a") as source:
        source.write(f"\nimport {imported}\n")
    result = lint(tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"{module} is not allowed to import {imported}" in result.stdout
