"""Compiled functions during a count: they run as the plain PyTorch that they were made from.

A compiled frame dispatches no operation once it is warm. Its eager twin is the function itself, so the compiler is told
to stand aside, and the count says that it counted the twin.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from arbench.meters.patch import patched

TWIN = "compiled functions ran as plain PyTorch"


@contextmanager
def uncompiled(note: Callable[[str], None], unseen: Callable[[str], None]) -> Iterator[None]:
    """Run compiled functions uncompiled.

    Args:
        note: called with ``TWIN`` for each call of a compiled function.
        unseen: called with a reason for work that has no twin here, such as a captured graph that is replayed.
    """
    with ExitStack() as stack:
        compiler: list[Any] = []

        def stand_aside() -> None:
            frames = sys.modules.get("torch._dynamo.eval_frame")
            if frames is None or compiler:
                return
            compiler.append(frames)
            stack.enter_context(torch.compiler.set_stance("force_eager"))
            stack.enter_context(patched([(frames, "_callback_from_stance", noting)]))

        def noting(inner: Callable[..., Any]) -> Callable[..., Any]:
            def callback(given: Any) -> Any:
                if given is not None:  # None: a function that is never compiled
                    note(TWIN)
                return inner(given)

            return callback

        def compiling(inner: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(inner)
            def compile(*args: Any, **kwargs: Any) -> Any:
                made = inner(*args, **kwargs)  # the first one imports the compiler
                stand_aside()
                return made

            return compile

        def replaying(inner: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(inner)
            def replay(*args: Any, **kwargs: Any) -> Any:
                unseen("a captured graph was replayed")
                return inner(*args, **kwargs)

            return replay

        stack.enter_context(patched([(torch, "compile", compiling), (torch.cuda.CUDAGraph, "replay", replaying)]))
        stand_aside()
        yield
