"""Makes Triton's interpreter more than twice as fast, and changes no bit of what it computes.

It spends most of its time on describing each intermediate result anew: the type of a block, the shape of a tensor, the
data type of an array. All of these depend on the type alone, so that each is made once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any

REPLACED: list[tuple[Any, str, Any, Any]] = []
"""Replaced functions: owner, name, original, replacement."""


def speed_up() -> None:
    """Replace the slow parts of the interpreter, for the rest of the process."""
    for part in (
        prepare_once_per_launch,
        describe_types_once,
        describe_tensors_once,
        look_up_arrays,
        compare_less,
        broadcast_what_differs,
        drop_overflows,
    ):
        part()


@contextmanager
def as_it_comes() -> Iterator[None]:
    """Run the interpreter without the replacements."""
    for owner, name, original, _ in REPLACED:
        setattr(owner, name, original)
    try:
        yield
    finally:
        for owner, name, _, faster in REPLACED:
            setattr(owner, name, faster)


def replace(owner: Any, name: str, faster: Any) -> None:
    REPLACED.append((owner, name, getattr(owner, name), faster))
    setattr(owner, name, faster)


def prepare_once_per_launch() -> None:
    """Prepare the language once per launch, not at every call of a function.

    Each call of a jitted function from another replaces the built-ins of ``triton.language`` by interpreted ones,
    which the launch around it has done already.
    """
    import triton.language as tl
    from triton.runtime import interpreter

    original = getattr(interpreter, "_patch_lang", None)
    if original is None:  # of a version of Triton that does otherwise
        return
    prepared: set[str] = set()

    @cache
    def languages(fn: Any) -> frozenset[str]:
        return frozenset(v.__name__ for v in fn.__globals__.values() if v is tl or v is tl.core)

    def prepare(fn: Any) -> Any:
        if prepared and languages(fn) <= prepared:
            return SimpleNamespace(restore=lambda: None)
        scope = original(fn)
        added = languages(fn) - prepared
        prepared.update(added)

        def restore() -> None:
            prepared.difference_update(added)
            scope.restore()

        return SimpleNamespace(restore=restore)

    replace(interpreter, "_patch_lang", prepare)


def describe_types_once() -> None:
    """Make one object of each type of block, and of each shape; nothing changes a type that is made."""
    from triton.language import core

    block, original = core.block_type, core.block_type.__init__
    made: dict[Any, Any] = {}
    shapes: dict[Any, Any] = {}

    def key(element_ty: Any, shape: Any) -> Any:
        sizes = tuple(n.value if isinstance(n, core.constexpr) else n for n in shape)
        return id(element_ty), sizes  # a block's type keeps that of its elements alive, and with it the id

    def fresh(cls: Any, *_: Any) -> Any:
        return object.__new__(cls)

    def new(cls: Any, *given: Any) -> Any:
        known = made.get(key(*given)) if cls is block else None  # a type of a subclass has more to it
        return known or object.__new__(cls)

    def init(self: Any, element_ty: Any, shape: Any) -> None:
        if "name" not in vars(self):
            original(self, element_ty, shape)
            _, sizes = place = key(element_ty, shape)
            made[place], self.shape = self, shapes.setdefault(sizes, self.shape)

    def of_other_elements(self: Any, element_ty: Any) -> Any:
        return made.get((id(element_ty), tuple(self.shape))) or block(element_ty, self.shape)

    REPLACED.append((block, "__new__", fresh, new))
    block.__new__ = new
    replace(block, "__init__", init)
    replace(block, "with_element_ty", of_other_elements)


def describe_tensors_once() -> None:
    """Copy all but the array of a tensor from an earlier one of the same type."""
    from triton.language import core

    original = core.tensor.__init__

    def init(self: Any, handle: Any, type: Any) -> None:
        known = vars(type).get("described")
        if known is None:
            original(self, handle, type)
            type.described = {k: v for k, v in vars(self).items() if k != "handle"}
        else:
            vars(self).update(known, handle=handle)

    replace(core.tensor, "__init__", init)


def look_up_arrays() -> None:
    """Find the data type of an array by the name of Triton's."""
    from triton.runtime import interpreter

    original, known = interpreter._get_np_dtype, dict[str, Any]()

    def look_up(dtype: Any) -> Any:
        found = known.get(dtype.name)
        if found is None:
            found = known[dtype.name] = original(dtype)
        return found

    replace(interpreter, "_get_np_dtype", look_up)


def compare_less() -> None:
    """Ask of a plain value once whether it is a constant, and of a type whether it is itself."""
    from triton.language import core

    unwrap, equal, same_values = core._unwrap_if_constexpr, core.dtype.__eq__, core.tuple.__eq__
    plain = {int, float, bool, str, type(None), core.tensor}

    def of_a_shape(self: Any, other: Any) -> Any:
        if type(other) is list and all(type(n) is int for n in other):
            return core.constexpr(self.values == other)
        return same_values(self, other)

    replace(core, "_unwrap_if_constexpr", lambda value: value if type(value) in plain else unwrap(value))
    replace(core.dtype, "__eq__", lambda self, other: self is other or equal(self, other))
    replace(core.tuple, "__eq__", of_a_shape)


def broadcast_what_differs() -> None:
    """Leave two blocks of one shape as they are, without comparing their sizes."""
    from triton.language.semantic import TritonSemantic

    original = TritonSemantic.broadcast_impl_value

    def broadcast(self: Any, a: Any, b: Any) -> Any:
        same = a.type.is_block() and b.type.is_block() and a.type.shape is b.type.shape
        return (a, b) if same else original(self, a, b)

    replace(TritonSemantic, "broadcast_impl_value", broadcast)


def drop_overflows() -> None:
    """Leave out the search for overflows, whose result Triton throws away unless it debugs."""
    from triton.language.semantic import TritonSemantic

    original = TritonSemantic.binary_op_sanitize_overflow_impl

    def search(self: Any, a: Any, b: Any, operation: Any) -> None:
        if self.builder.options.debug:
            original(self, a, b, operation)

    replace(TritonSemantic, "binary_op_sanitize_overflow_impl", search)
