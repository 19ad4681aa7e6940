"""Models in files and modules find the code beside them, and not the code beside another model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from arbench.models import ModelError, NoModelError, resolve
from arbench.own import beside

MINE = """
from arbench.models.wavenet import WaveNet
from {helper} import NAME


class Mine(WaveNet):
    default_preset = "tiny"
    element = NAME

    def late(self):
        from {helper}_late import NAME

        return NAME
"""


pytestmark = pytest.mark.usefixtures("forgotten")


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a model and the modules that it needs, each named after its folder."""

    def write(folder: str, file: str = "mine.py", helper: str = "beside_helper") -> Path:
        path = tmp_path / folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(MINE.format(helper=helper))
        for name in (helper, f"{helper}_late"):
            (tmp_path / folder / f"{name}.py").write_text(f"NAME = '{folder} {name}'\n")
        return path

    return write


def found(spec: str) -> tuple[str, str]:
    """Return what a model found beside its file when it was imported, and what it finds once built."""
    model = resolve(spec).build()
    return model.element, model.late()  # type: ignore[operator]


def of(folder: str) -> tuple[str, str]:
    return f"{folder} beside_helper", f"{folder} beside_helper_late"


def test_a_file_finds_the_modules_beside_it(written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written("a")
    assert found(f"{path}:Mine") == of("a")
    monkeypatch.chdir(tmp_path)
    assert found("a/mine.py:Mine") == of("a")


def test_two_files_with_equal_names_beside_them_keep_to_their_own(written) -> None:
    one, other = written("a"), written("b")
    for _ in range(2):
        assert found(f"{one}:Mine") == of("a")
        assert found(f"{other}:Mine") == of("b")


def test_a_module_is_found_from_the_current_folder(written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written("here", "beside_package/models.py")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(Path.cwd()))])
    assert found("beside_package.models:Mine") == of("here")


def test_a_module_of_another_current_folder_is_another_module(
    written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("here", "there"):
        written(folder, "beside_package/models.py")
        monkeypatch.chdir(tmp_path / folder)
        assert found("beside_package.models:Mine") == of(folder)


def test_what_was_imported_before_stays(written) -> None:
    torch = sys.modules["torch"]
    found(f"{written('a')}:Mine")
    found(f"{written('b')}:Mine")
    assert sys.modules["torch"] is torch
    assert sys.modules["arbench.own.beside"] is beside


@pytest.mark.parametrize(
    ("spec", "missing"),
    [
        ("beside_nothing.models:Mine", "no module 'beside_nothing' in the current folder, {here}, nor on Python's "),
        ("beside_package.nothing:Mine", "no module 'beside_package.nothing' in {here}/beside_package"),
        ("math.tau:x", "no module 'math.tau' in math, which is no package"),
    ],
)
def test_a_missing_module_says_where_it_was_looked_for(
    spec: str, missing: str, written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written("here", "beside_package/models.py")
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(NoModelError) as caught:
        resolve(spec)
    assert str(caught.value).startswith(f"model '{spec}': {missing.format(here=tmp_path / 'here')}")
    assert "\n" not in str(caught.value)


def test_a_module_that_a_file_lacks_is_a_fault_of_the_file(written) -> None:
    path = written("a")
    (path.parent / "beside_helper.py").unlink()
    with pytest.raises(ModelError) as caught:
        resolve(f"{path}:Mine")
    assert not isinstance(caught.value, NoModelError)
    assert "ModuleNotFoundError: No module named 'beside_helper' (" in str(caught.value)
    assert str(caught.value).endswith("mine.py:3)")


def test_a_named_model_does_not_search_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    resolve("wavenet")
    assert str(tmp_path) not in sys.path
