"""Fingerprints of Triton programs: they change when anything changes that the machine code depends on.

A program's source is its function and every jitted function and constant that it reaches, as tokens: comments,
docstrings, blank lines, file paths and line numbers do not count, the names of functions and variables do.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import io
import json
import textwrap
import tokenize
from collections.abc import Callable, Sequence
from functools import cache
from types import ModuleType
from typing import Any

LENGTH = 16
"""Hexadecimal digits of a fingerprint."""
_SKIPPED = {tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER}
_SHOWN = {tokenize.INDENT: "{", tokenize.DEDENT: "}", tokenize.NEWLINE: ";"}
_MISSING = object()


def fingerprint(fn: Any, **settings: Any) -> str:
    """Return a fingerprint of a jitted function compiled with some settings.

    Args:
        fn: A ``triton.jit`` function, compiled or interpreted.
        settings: What else the compiler is given: types, constants, options, the target, its version. The
            order of a dictionary does not count.

    Raises:
        TypeError: The program uses a value whose content is unknown.
    """
    text = json.dumps([list(sources(fn)), _described(settings)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


@cache
def sources(fn: Any) -> tuple[str, ...]:
    """Return the tokens of a jitted function and of all it reaches, with the constants they read; sorted.

    Args:
        fn: A ``triton.jit`` function, compiled or interpreted.
    """
    found: dict[Callable[..., Any], str] = {}
    _collect(fn.fn, found)
    return tuple(sorted(found.values()))


def _collect(function: Callable[..., Any], found: dict[Callable[..., Any], str]) -> None:
    if function in found:
        return
    text = textwrap.dedent(inspect.getsource(function))
    found[function] = ""
    constants = {}
    for name, value in _globals_read(function, text):
        if _jitted(value) and not _of_triton(value.fn):
            _collect(value.fn, found)
        else:
            constants[name] = _described(value)
    found[function] = json.dumps([_tokens(text), constants], sort_keys=True)


def _globals_read(function: Callable[..., Any], text: str) -> list[tuple[str, Any]]:
    """Return the global values that a function's source names, but for modules and ``tl.load`` and the like.

    Triton's version stands for what a source takes from Triton's modules.
    """
    (definition,) = ast.parse(text).body
    assert isinstance(definition, ast.FunctionDef)
    known = {**function.__globals__, **inspect.getclosurevars(function).nonlocals}
    local = {*function.__code__.co_varnames, *function.__code__.co_cellvars}
    body = {id(node) for statement in definition.body for node in ast.walk(statement)}

    def value_of(node: ast.AST) -> Any:
        if isinstance(node, ast.Name):
            return _MISSING if node.id in local and id(node) in body else known.get(node.id, _MISSING)
        if isinstance(node, ast.Attribute):
            owner = value_of(node.value)
            owned = isinstance(owner, ModuleType) and owner.__name__.partition(".")[0] != "triton"
            return getattr(owner, node.attr, _MISSING) if owned else _MISSING
        return _MISSING

    read = [(ast.unparse(node), value_of(node)) for node in ast.walk(definition) if _names(node)]
    return [(name, value) for name, value in read if value is not _MISSING and not isinstance(value, ModuleType)]


def _names(node: ast.AST) -> bool:
    return isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load)


def _jitted(value: Any) -> bool:
    return hasattr(value, "arg_names") and callable(getattr(value, "fn", None))


def _of_triton(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).partition(".")[0] == "triton"


def _is_constant(value: Any) -> bool:
    return type(value).__name__ == "constexpr"


def _tokens(text: str) -> str:
    """Return source text as tokens, without comments, layout and statements that are a string alone."""
    tokens = [t for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.type not in _SKIPPED]
    shown = []
    for i, token in enumerate(tokens):
        if not (_is_docstring(tokens, i) or (i and _is_docstring(tokens, i - 1))):
            shown.append(_SHOWN.get(token.type, token.string))
    return " ".join(shown)


def _is_docstring(tokens: Sequence[tokenize.TokenInfo], i: int) -> bool:
    """Return whether token ``i`` is a statement alone, and a string."""
    begins = i == 0 or tokens[i - 1].type in _SHOWN
    return tokens[i].type == tokenize.STRING and begins and tokens[i + 1].type == tokenize.NEWLINE


def _described(value: Any) -> Any:
    """Return what JSON can write of a value, different for different values and types."""
    if _is_constant(value):
        return _described(value.value)
    if _jitted(value) and not _of_triton(value.fn):
        return list(sources(value))
    if isinstance(value, dict):
        return {str(k): _described(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_described(v) for v in value]
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if _of_triton(type(value)) and type(value).__name__ == "dtype":
        return str(value)
    own = value.fn if _jitted(value) else value
    if callable(own) and _of_triton(own):
        return f"{own.__module__}.{own.__qualname__}"
    raise TypeError(f"a Triton program reads {value!r}, which has no fingerprint; make it a number or a constexpr")
