"""Two trees in one process have their own modules, lazy imports and custom operators."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import arbench
from arbench.gate.timing.sides import SharedError, Side

LAZY = """
def answer():
    from arbench.inner import VALUE
    import arbench_helper
    return VALUE, arbench_helper.VALUE
"""
OPERATORS = """
import torch

@torch.library.custom_op("arbench_trial::scaled", mutates_args=())
def scaled(x: torch.Tensor) -> torch.Tensor:
    return x * {value}

@torch.library.register_fake("arbench_trial::scaled")
def _(x):
    return torch.empty_like(x)

@scaled.register_kernel("cuda")
def _(x):
    raise AssertionError

library = torch.library.Library("arbench_trial", "FRAGMENT")
library.define("shifted(Tensor x) -> Tensor")
library.impl("shifted", lambda x: x + {value}, "CPU")

def results(x):
    found = scaled(x), torch.ops.arbench_trial.scaled(x), torch.ops.arbench_trial.shifted(x)
    return [float(one) for one in found]

def late(x):
    @torch.library.custom_op("arbench_late::negated", mutates_args=())
    def negated(x: torch.Tensor) -> torch.Tensor:
        return -{value} * x
    return float(torch.ops.arbench_late.negated(x))
"""


def tree(folder: Path, value: int) -> Path:
    """Write a package ``arbench`` that returns a number, and a helper beside it that it imports on demand."""
    package = folder / "arbench"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"VALUE = {value}\n")
    (package / "inner.py").write_text(f"VALUE = {value}\n")
    (package / "lazy.py").write_text(LAZY)
    (package / "operators.py").write_text(OPERATORS.format(value=value))
    (folder / "arbench_helper.py").write_text(f"VALUE = {value}\n")
    return folder


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Side, Side]:
    return Side(tree(tmp_path / "a", 2)), Side(tree(tmp_path / "b", 3))


def on(side: Side, module: str, function: str, *words: Any) -> Any:
    with side.active():
        return getattr(side.load(module), function)(*words)


def test_each_side_has_its_own_package(pair: tuple[Side, Side]) -> None:
    for side, value in zip(pair, (2, 3), strict=True):
        with side.active():
            assert value == side.load().VALUE
            assert value == sys.modules["arbench"].VALUE


def test_outside_of_both_nothing_has_changed(pair: tuple[Side, Side]) -> None:
    before, path = dict(sys.modules), list(sys.path)
    on(pair[0], "arbench.lazy", "answer")
    assert sys.modules["arbench"] is arbench
    assert "arbench_helper" not in sys.modules
    assert {k: v for k, v in sys.modules.items() if k in before} == before
    assert sys.path == path
    assert arbench.measure is not None  # imports a module of its own, on demand


def test_lazy_imports_find_their_own_tree_whatever_came_first(pair: tuple[Side, Side]) -> None:
    a, b = pair
    calls: dict[Side, Callable[[], Any]] = {}
    for side in pair:
        with side.active():
            calls[side] = side.load("arbench.lazy").answer
    for side, value in ((b, 3), (a, 2), (b, 3)):
        with side.active():
            assert calls[side]() == (value, value)


def test_a_folder_that_a_side_adds_to_the_search_path_stays_that_sides_own(pair: tuple[Side, Side]) -> None:
    """A model's file in a folder of its tree imports what is beside it, also when it is called."""
    path = list(sys.path)
    for side, value in zip(pair, (2, 3), strict=True):
        (side.root / "models").mkdir()
        (side.root / "models" / "arbench_beside.py").write_text(f"VALUE = {value}\n")
        with side.active():
            sys.path.insert(0, str(side.root / "models"))
            sys.path.append(str(side.root / "last"))
    for side, value in zip(pair, (2, 3), strict=True):
        with side.active():
            assert value == importlib.import_module("arbench_beside").VALUE
            assert [sys.path.count(str(side.root / name)) for name in ("models", "last")] == [1, 1]
            assert sys.path.index(str(side.root / "models")) < sys.path.index(str(side.root))
    assert sys.path == path


def test_changing_one_tree_changes_that_side_alone(tmp_path: Path) -> None:
    roots = [tree(tmp_path / name, 2) for name in "ab"]
    (roots[1] / "arbench" / "inner.py").write_text("VALUE = 7\n")
    assert [on(Side(root), "arbench.lazy", "answer")[0] for root in roots] == [2, 7]


def test_custom_operators_of_one_name_stay_two(pair: tuple[Side, Side]) -> None:
    x = torch.tensor(10.0)
    modules = []
    for side in pair:  # both are registered before either is called
        with side.active():
            modules.append(side.load("arbench.operators"))
    for _ in range(2):
        for side, module, value in zip(pair, modules, (2, 3), strict=True):
            with side.active():
                assert module.results(x) == [10 * value, 10 * value, 10 + value]


def test_an_operator_that_is_registered_late_is_its_sides_own(pair: tuple[Side, Side]) -> None:
    x = torch.tensor(10.0)
    assert [on(side, "arbench.operators", "late", x) for side in pair] == [-20, -30]


def test_operators_are_followed_without_values(pair: tuple[Side, Side]) -> None:
    for side in pair:
        with side.active():
            side.load("arbench.operators")
            out = torch.ops.arbench_trial.scaled(torch.empty(3, device="meta"))
            assert out.shape == (3,)


def test_operators_are_out_of_sight_outside(pair: tuple[Side, Side]) -> None:
    x = torch.tensor(1.0)
    on(pair[0], "arbench.operators", "results", x)
    with pytest.raises(AttributeError):
        torch.ops.arbench_trial.scaled(x)


def test_operators_of_other_packages_are_shared(pair: tuple[Side, Side], tmp_path: Path) -> None:
    """A module from elsewhere is shared by all sides, and so are its operators."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "arbench_third_party.py").write_text(
        "import torch\n"
        "@torch.library.custom_op('arbench_third::halved', mutates_args=())\n"
        "def halved(x: torch.Tensor) -> torch.Tensor:\n"
        "    return x / 2\n"
    )
    sys.path.append(str(elsewhere))
    try:
        for side in pair:
            with side.active():
                module = __import__("arbench_third_party")
                assert float(torch.ops.arbench_third.halved(torch.tensor(8.0))) == 4
        assert sys.modules["arbench_third_party"] is module
    finally:
        sys.path.remove(str(elsewhere))
        del sys.modules["arbench_third_party"]


def test_replacing_an_operator_of_pytorch_cannot_be_kept_apart(tmp_path: Path) -> None:
    root = tree(tmp_path / "a", 1)
    (root / "arbench" / "replaces.py").write_text(
        "import torch\nlibrary = torch.library.Library('aten', 'IMPL', 'CPU')\n"
    )
    side = Side(root)
    with (
        side.active(),
        pytest.raises(SharedError, match=r"^one of them replaces operators of 'aten' for the whole process$"),
    ):
        side.load("arbench.replaces")


def test_an_error_inside_leaves_everything_in_place(pair: tuple[Side, Side]) -> None:
    with pytest.raises(ModuleNotFoundError), pair[0].active():
        pair[0].load("arbench.missing")
    assert sys.modules["arbench"] is arbench
    with pair[1].active():
        assert pair[1].load().VALUE == 3


def test_a_side_alone_in_its_process_may_replace_what_it_likes(tmp_path: Path) -> None:
    root = tree(tmp_path / "a", 1)
    (root / "arbench" / "replaces.py").write_text(
        "import torch\nlibrary = torch.library.Library('aten', 'IMPL', 'CPU')\n"
    )
    side = Side(root, alone=True)
    with side.active():
        assert side.load("arbench.replaces").library.ns == "aten"
    assert side.refused is None


def test_a_tree_below_src_is_found(tmp_path: Path) -> None:
    tree(tmp_path / "root" / "src", 5)
    assert on(Side(tmp_path / "root"), "arbench.lazy", "answer") == (5, 5)


def test_of_an_environment_only_the_package_is_a_sides_own(tmp_path: Path) -> None:
    side = Side(tree(tmp_path / "site-packages", 4))
    try:
        assert on(side, "arbench.lazy", "answer") == (4, 4)
        assert "arbench_helper" in sys.modules
        assert sys.modules["arbench"] is arbench
    finally:
        sys.modules.pop("arbench_helper", None)


def test_an_environment_inside_a_tree_is_shared(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", 4)
    inner = root / ".venv" / "lib" / "site-packages"
    assert Side(root).contains(str(root / "arbench" / "inner.py"))
    assert not Side(root).contains(str(inner / "torch" / "__init__.py"))
    assert not Side(root).contains(str(tmp_path / "elsewhere.py"))


def test_a_module_that_one_side_blocks_is_not_blocked_for_the_other(pair: tuple[Side, Side]) -> None:
    one, other = pair
    with one.active():
        one.load()
        sys.modules["arbench.inner"] = None  # type: ignore[assignment]
    assert "arbench.inner" not in sys.modules or sys.modules["arbench.inner"] is not None
    with other.active():
        assert other.load("arbench.inner").VALUE == 3
    with one.active(), pytest.raises(ImportError):
        one.load("arbench.inner")
