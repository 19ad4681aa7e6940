"""Installations of packages that carry data, made for a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Carry = Callable[[str, str, bytes], Path]


@pytest.fixture
def carry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Carry:
    """Return what installs a package that carries one file; the package has no code that could be imported."""

    def install(package: str, file: str, content: bytes) -> Path:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        info = tmp_path / f"{package}-9.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 9.0\n")
        (info / "RECORD").write_text(f"{file},,\n")
        monkeypatch.syspath_prepend(tmp_path)
        return path

    return install


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide every installed package that carries data."""
    monkeypatch.setattr("arbench.data.packages.files", files_of_nothing)


def files_of_nothing(package: str) -> None:
    from importlib.metadata import PackageNotFoundError

    raise PackageNotFoundError(package)
