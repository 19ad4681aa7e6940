"""Fingerprints change with what is compiled, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from arbench.kernels.core.fingerprint import fingerprint

PROGRAM = '''
import triton
import triton.language as tl

SCALE = tl.constexpr(2.0)
LIMIT = 7
WIDTH = 1
WIDER = tl.float32
largest = tl.maximum


@triton.jit
def scaled(x, width: tl.constexpr = WIDTH):
    return largest(x.to(WIDER) * SCALE, width)


@triton.jit
def doubled(x):
    return scaled(x)


@triton.jit
def unused(x):
    return x + 3


@triton.jit
def program(x_ptr, n, BLOCK: tl.constexpr):
    """Doubles numbers."""
    offset = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offset, mask=offset < LIMIT, other=0.0)  # a comment
    tl.store(x_ptr + offset, doubled(x), mask=offset < n)
'''


@pytest.fixture
def fingerprint_of(tmp_path: Path) -> Callable[..., str]:
    """Return the fingerprint of ``program``, its text changed, in a file of its own."""
    number = count()

    def changed(old: str = "", new: str = "", **settings: Any) -> str:
        assert old in PROGRAM
        path = tmp_path / f"program_{next(number)}.py"
        path.write_text(PROGRAM.replace(old, new, 1) if old else PROGRAM)
        spec = spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        return fingerprint(module.program, **settings)

    return changed


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("", "", id="another file"),
        pytest.param("import triton\n", "\n\n\nimport triton\n", id="other lines"),
        pytest.param("  # a comment", "", id="no comment"),
        pytest.param('    """Doubles numbers."""\n', "", id="no docstring"),
        pytest.param("x_ptr + offset, mask=offset < LIMIT,", "\n        x_ptr+offset, mask=offset<LIMIT,", id="layout"),
        pytest.param("x + 3", "x + 4", id="a function that is not called"),
    ],
)
def test_what_is_not_compiled_does_not_count(fingerprint_of: Callable[..., str], old: str, new: str) -> None:
    assert fingerprint_of(old, new) == fingerprint_of()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("offset < n", "offset <= n", id="the program"),
        pytest.param("return scaled(x)", "return scaled(x) + 0.0", id="a callee"),
        pytest.param("x.to(WIDER) * SCALE", "SCALE * x.to(WIDER)", id="a callee's callee"),
        pytest.param("constexpr(2.0)", "constexpr(3.0)", id="a constant of a callee"),
        pytest.param("constexpr(2.0)", "constexpr(2)", id="the type of a constant"),
        pytest.param("LIMIT = 7", "LIMIT = 8", id="a global number"),
        pytest.param("WIDTH = 1", "WIDTH = 2", id="a default argument"),
        pytest.param("WIDER = tl.float32", "WIDER = tl.float64", id="another name for a type of Triton's"),
        pytest.param("largest = tl.maximum", "largest = tl.minimum", id="another name for a function of Triton's"),
        pytest.param("largest = tl.maximum", "largest = tl.max", id="another name for a jitted function of Triton's"),
        pytest.param("@triton.jit\ndef scaled", "@triton.jit(noinline=True)\ndef scaled", id="a decorator"),
    ],
)
def test_what_is_compiled_counts(fingerprint_of: Callable[..., str], old: str, new: str) -> None:
    assert fingerprint_of(old, new) != fingerprint_of()


def test_settings_count_but_for_their_order(fingerprint_of: Callable[..., str]) -> None:
    options = {"num_warps": 4, "num_stages": 2}
    plain = fingerprint_of(options=options, constants={"BLOCK": 16})
    assert plain == fingerprint_of(constants={"BLOCK": 16}, options=dict(reversed(options.items())))
    others = [
        fingerprint_of(options={**options, "num_warps": 8}, constants={"BLOCK": 16}),
        fingerprint_of(options=options, constants={"BLOCK": 32}),
        fingerprint_of(options=options, constants={"BLOCK": 16}, triton="3.6.0"),
        fingerprint_of(options=options, constants={"BLOCK": 1}),
        fingerprint_of(options=options, constants={"BLOCK": True}),
    ]
    assert len({plain, *others}) == 1 + len(others)


def test_a_value_of_unknown_content_is_refused(fingerprint_of: Callable[..., str]) -> None:
    with pytest.raises(TypeError, match="has no fingerprint; make it a number or a constexpr"):
        fingerprint_of("LIMIT = 7", "LIMIT = object()")
