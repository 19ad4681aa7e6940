"""Packages that a user's file imports at its top are found without importing anything."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from arbench.own.packages import import_ahead, installed_imports


def test_installed_packages_are_found(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text(
        "import json, msgspec.json as m\nfrom click import (Command,\n  Group)\nfrom . import near\nimport beside\n"
        "import torch_that_nobody_has\nif True:\n    import rich\n"
    )
    (tmp_path / "beside.py").write_text("")
    assert installed_imports(file) == {
        "msgspec": ["import msgspec.json"],
        "click": ["from click import Command, Group"],
    }


def test_a_module_beside_the_file_goes_before_a_package(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text("import click\nimport msgspec\n")
    (tmp_path / "click.py").write_text("")
    (tmp_path / "msgspec").mkdir()
    assert installed_imports(file) == {}


@pytest.mark.parametrize("text", ["def (", "\0"])
def test_what_is_no_python_imports_nothing(text: str, tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text(text)
    assert installed_imports(file) == installed_imports(tmp_path / "none.py") == {}


def test_imports_run_ahead_and_failures_wait_for_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "msgspec.yaml", raising=False)
    import_ahead(["import msgspec.no_such_module", "import msgspec.yaml"])
    assert "msgspec.yaml" in sys.modules
