"""Methods of modules under ``torch.compile``, each as one graph that all builds of a model share.

A step changes from position to position, which a compiler takes for another program. So a model marks the part of its
step that stays the same as ``compilable``: a method whose arguments are tensors, and integers that are named as the
ones that vary. Otherwise the marked method is an ordinary one, and plain PyTorch pays nothing for the mark.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Hashable, Iterator
from types import FunctionType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

F = TypeVar("F", bound=Callable[..., Any])
GRAPHS = 16
"""Most graphs of one method: of the first position and of later ones, for each batch. More is an error."""
_MARK = "_arbench_varying"
_MADE: dict[Hashable, Callable[..., Any]] = {}


class CompileError(RuntimeError):
    """Failure of ``torch.compile``, or refusal to run anything uncompiled in its place; the message is one line."""


def compilable(*varying: str) -> Callable[[F], F]:
    """Mark a method of a module as one that the backend "compile" runs as one graph.

    It takes positional arguments. Shapes are constants of the graph, except where ``sized`` says otherwise. It may
    write into tensors of its arguments.

    Args:
        varying: names of the integer arguments that change from call to call; any other integer is a constant.
    """

    def mark(method: F) -> F:
        vars(method)[_MARK] = varying
        return method

    return mark


def sized(tensor: Tensor, *axes: int) -> Tensor:
    """Tell the compiler that the length of these axes depends on the size N, so that one graph serves all sizes."""
    from torch._dynamo import maybe_mark_dynamic

    maybe_mark_dynamic(tensor, list(axes))
    return tensor


def steady(tensor: Tensor) -> Tensor:
    """Return a copy whose strides follow from its shape, even along axes of length 1: they are constants of a graph."""
    return tensor.clone(memory_format=torch.contiguous_format)


def use(network: nn.Module, whole: tuple[str, ...], compiled: bool) -> None:
    """Compile the marked methods of a network's modules, each at its first call, or run them as they are.

    Args:
        network: the network.
        whole: methods of the network that are compiled as they are, with all sizes variable.
        compiled: whether to compile.
    """
    architecture = tuple((name, tuple(p.shape), p.dtype) for name, p in network.named_parameters())
    for module in network.modules():
        for name, varying in _marked(type(module)):
            _set(module, name, compiled, (architecture, varying))
    for name in whole:
        _set(network, name, compiled, (architecture, None))


def marks(network: nn.Module) -> bool:
    """Return whether a module of a network has a marked method."""
    return any(True for module in network.modules() for _ in _marked(type(module)))


def _marked(kind: type) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the names of a class's marked methods, and of their arguments that vary."""
    names = {
        name for base in kind.__mro__ for name, found in vars(base).items() if _MARK in getattr(found, "__dict__", ())
    }
    for name in sorted(names):
        method = getattr(kind, name)
        if _MARK in vars(method):  # a subclass may have replaced it
            yield name, vars(method)[_MARK]


def _set(module: nn.Module, name: str, compiled: bool, key: tuple[Hashable, tuple[str, ...] | None]) -> None:
    vars(module).pop(name, None)
    if not compiled:
        return
    method = getattr(type(module), name)
    made = _MADE.get((method, key))
    if made is None:
        made = _MADE[method, key] = _compiled(method, key[1])
    this = weakref.ref(module)  # not the module itself, whose memory would only be freed once cycles are looked for
    vars(module)[name] = lambda *args: made(this(), *args)


def _compiled(method: Callable[..., Any], varying: tuple[str, ...] | None) -> Callable[..., Any]:
    """Return a method as a compiled function, whose first argument is its module.

    Args:
        method: the method.
        varying: as in ``compilable``; None for one of which all sizes and integers may vary.
    """
    import torch._dynamo.config as dynamo
    from torch.fx.experimental.sym_node import DynamicInt

    dynamo.recompile_limit = max(dynamo.recompile_limit, GRAPHS)
    dynamo.allow_rnn = True
    assert isinstance(method, FunctionType)
    # Dynamo keeps graphs by code object, and would look through those of other architectures at each call
    own = FunctionType(
        method.__code__.replace(), method.__globals__, method.__name__, method.__defaults__, method.__closure__
    )
    own.__kwdefaults__ = method.__kwdefaults__
    graph = torch.compile(own, fullgraph=True, dynamic=varying is None, options={"cpp_wrapper": True})
    places = [i for i, name in enumerate(inspect.signature(method).parameters) if name in (varying or ())]

    def call(*args: Any) -> Any:
        if places:
            given = list(args)
            for place in places:
                given[place] = DynamicInt(given[place])
            args = tuple(given)
        try:
            return graph(*args)
        except Exception as error:
            raise_from(error, method)
            raise

    return call


def raise_from(error: Exception, method: Callable[..., Any]) -> None:
    """Raise ``CompileError`` if an exception is the compiler's; the model's own exceptions pass."""
    kind = type(error)
    if not kind.__module__.startswith(("torch._dynamo", "torch._inductor", "torch.fx")):
        return
    first = next((line.strip() for line in str(error.__cause__ or error).splitlines() if line.strip()), kind.__name__)
    raise CompileError(
        f"torch.compile cannot compile {method.__qualname__} in one graph ({first[:200]}); use another --backend"
    ) from error
