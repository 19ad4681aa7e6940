"""Symbols that a model's own code names: whole numbers in its functions, and in what its modules keep.

Code that treats one symbol of thousands in its own way has to name it somewhere. No code runs here, and the numbers are
hints alone: a probe tries them first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from types import CodeType, FunctionType, MethodType
from typing import Any

from torch import Tensor, nn

MOST = 64
"""Most symbols of one collection, table or tensor, and most entries of a tensor that is read whole."""
EXTREMES = 8
"""Symbols with the smallest, and with the largest, entries of a table."""
DEPTH = 3
"""How far functions that functions name are followed."""
WIDELY_USED = ("torch", "transformers", "arbench", "numpy", "zuko", "nflows", "builtins", "typing", "collections")
"""Packages whose functions are full of numbers that are no symbols."""


def named_symbols(source: nn.Module, levels: int) -> list[int]:
    """Return symbols from 0 to ``levels`` - 1 that a model names, in the order in which they were found, each once."""
    found: dict[int, None] = {}
    for number in _numbers(source, levels):
        if 0 <= number < levels:
            found.setdefault(number)
    return list(found)


def _numbers(source: nn.Module, levels: int) -> Iterator[int]:
    seen: set[int] = set()
    for part in source.modules():
        for kind in type(part).__mro__:
            if not _widely_used(kind.__module__) or kind.__module__.startswith("arbench_user_"):
                yield from _of_values(vars(kind).values(), levels, seen)
            else:  # a class of a package, of which the user may have replaced a function
                yield from _of_values(filter(_is_function, vars(kind).values()), levels, seen)
        yield from _of_values(vars(part).values(), levels, seen)
        yield from _of_values([*part._buffers.values(), *part._forward_hooks.values()], levels, seen)
        yield from _of_values(part._forward_pre_hooks.values(), levels, seen)
        config = getattr(part, "config", None)
        if config is not None and not isinstance(config, Mapping) and hasattr(config, "__dict__"):
            yield from _of_values(vars(config).values(), levels, seen, 0)


def _of_values(values: Iterable[Any], levels: int, seen: set[int], depth: int = DEPTH) -> Iterator[int]:
    for value in values:
        yield from _of(value, levels, seen, depth)


def _of(value: Any, levels: int, seen: set[int], depth: int) -> Iterator[int]:
    """Yield the whole numbers in a value."""
    if type(value) is int:
        yield value
    elif isinstance(value, Tensor):
        yield from _of_tensor(value, levels)
    elif isinstance(value, staticmethod | classmethod | MethodType):
        yield from _of(value.__func__, levels, seen, depth)
    elif isinstance(value, FunctionType):
        if depth and id(value) not in seen and not _widely_used(value.__module__ or ""):
            seen.add(id(value))
            yield from _of_function(value, levels, seen, depth - 1)
    elif isinstance(value, partial):
        yield from _of_values([value.func, *value.args, *value.keywords.values()], levels, seen, depth)
    elif isinstance(value, list | tuple | set | frozenset | range):
        yield from _of_values(filter(_is_hint, islice(value, MOST)), levels, seen, depth)
    elif type(value) is dict:
        pairs = islice(value.items(), MOST)
        yield from _of_values((one for pair in pairs for one in pair if _is_hint(one)), levels, seen, depth)
    elif depth and id(value) not in seen and (call := _call_of(value)) is not None:
        seen.add(id(value))
        yield from _of(call, levels, seen, depth)
        yield from _of_values(vars(value).values(), levels, seen, depth - 1)


def _of_function(function: FunctionType, levels: int, seen: set[int], depth: int) -> Iterator[int]:
    for code in _codes(function.__code__):
        for one in code.co_consts:
            yield from _of(one, levels, seen, 0)
        for name in code.co_names:
            if name in function.__globals__:
                yield from _of(function.__globals__[name], levels, seen, depth)
    yield from _of_values(function.__defaults__ or (), levels, seen, depth)
    for cell in function.__closure__ or ():
        try:
            yield from _of(cell.cell_contents, levels, seen, depth)
        except ValueError:  # not filled yet
            continue


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _codes(one)


def _of_tensor(value: Tensor, levels: int) -> Iterator[int]:
    """Yield the entries of a small tensor of whole numbers, or the symbols that stand out in a table of all."""
    if value.dim() and value.numel() == levels == value.shape[0] and not value.is_complex():
        flat = value.detach().flatten().double().cpu()
        kinds, counts = flat.unique(return_counts=True)
        if len(kinds) > 1 and int(counts.max()) > levels // 2:
            yield from (flat != kinds[counts.argmax()]).nonzero()[:MOST, 0].tolist()
        elif len(kinds) > 1:
            order = flat.argsort(stable=True).tolist()
            yield from (*order[:EXTREMES], *order[-EXTREMES:])
    elif value.numel() <= MOST and not value.is_floating_point() and not value.is_complex():
        yield from (int(one) for one in value.detach().flatten().tolist())


def _call_of(value: Any) -> FunctionType | None:
    """Return what runs if an object of a user's class is called, such as a hook; None for anything else."""
    kind = type(value)
    if isinstance(value, nn.Module | type) or _widely_used(kind.__module__) or not hasattr(value, "__dict__"):
        return None
    found = next((vars(one)["__call__"] for one in kind.__mro__ if "__call__" in vars(one)), None)
    return found if isinstance(found, FunctionType) else None


def _is_hint(value: Any) -> bool:
    """Return whether an entry of a collection is a whole number, or a function that may name some."""
    return type(value) is int or _is_function(value)


def _is_function(value: Any) -> bool:
    return isinstance(value, FunctionType)


def _widely_used(module: str) -> bool:
    return module.partition(".")[0] in WIDELY_USED
