"""Makes Triton's interpreter faster: it prepares its language once per launch, not at every call of a function.

Each call of a jitted function from another replaces the built-ins of ``triton.language`` by interpreted ones, which
the launch around it has done already; that takes over half of the interpreter's time.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any


def prepare_once_per_launch() -> None:
    """Replace the interpreter's preparation; nothing happens where a version of Triton has no such function."""
    import triton.language as tl
    from triton.runtime import interpreter

    original = getattr(interpreter, "_patch_lang", None)
    if original is None:
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

    interpreter._patch_lang = prepare
