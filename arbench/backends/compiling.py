"""Methods of modules under ``torch.compile``, each as one graph that all builds of a model share.

A step changes from position to position, which a compiler takes for another program. So a model marks the part of its
step that stays the same as ``compilable``: a method whose arguments are tensors, and integers that are named as the
ones that vary. Otherwise the marked method is an ordinary one, and plain PyTorch pays nothing for the mark.
"""

from __future__ import annotations

import inspect
import sys
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


def outermost(tensor: Tensor) -> Tensor:
    """Return a copy of a tensor (B, N, ..) in which the strides of a part of axis 1 do not depend on N."""
    return steady(tensor.transpose(0, 1)).transpose(0, 1)


def graphs() -> int:
    """Return how many graphs ``torch.compile`` has made in this process, for anyone."""
    counters = getattr(sys.modules.get("torch._dynamo.utils"), "counters", None)
    return int(counters["stats"]["unique_graphs"]) if counters else 0


def use(network: nn.Module, compiled: bool) -> None:
    """Compile the steps and the forward pass of a network, each at its first call, or run them as they are.

    Its ``forward``, and its ``extend`` where no other method is marked, are compiled even if they are not marked: for
    all sizes at once, or where that fails for each size.

    Args:
        network: the network.
        compiled: whether to compile.
    """
    marked = {name for module in network.modules() for name, _ in _marked(type(module))} - {"forward"}
    whole = {"forward"} if marked else {"forward", "extend"}
    architecture = tuple((name, tuple(p.shape), p.dtype) for name, p in network.named_parameters())
    for module in network.modules():
        for name, varying in _marked(type(module)):
            _set(module, name, compiled, (architecture, varying))
    for name in whole - {name for name, _ in _marked(type(network))}:
        _set(network, name, compiled, (architecture, None))


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
    vars(module)[name] = _Bound(module, method, made)


class _Bound:
    """A method of one module, compiled; in a deep copy of the module it is that of the copy."""

    def __init__(self, module: nn.Module, method: Callable[..., Any], made: Callable[..., Any]) -> None:
        self._this = weakref.ref(module)  # the module itself would make a cycle, and its memory would be freed late
        self._method, self._made = method, made

    def __call__(self, *args: Any) -> Any:
        part_of_a_graph = torch.compiler.is_compiling()
        return (self._method if part_of_a_graph else self._made)(self._this(), *args)

    def __deepcopy__(self, memo: dict[int, Any]) -> _Bound:
        module = self._this()
        assert module is not None
        return _Bound(memo.get(id(module), module), self._method, self._made)


def _compiled(method: Callable[..., Any], varying: tuple[str, ...] | None) -> Callable[..., Any]:
    """Return a method as a compiled function, whose first argument is its module.

    Args:
        method: the method.
        varying: as in ``compilable``; None for a method whose sizes and integers all vary.
    """
    from torch._dynamo.exc import FailOnRecompileLimitHit
    from torch.fx.experimental.sym_node import DynamicInt

    graph = _graph(method, dynamic=varying is None)
    places = [i for i, name in enumerate(inspect.signature(method).parameters) if name in (varying or ())]
    by_size = varying is not None or method.__name__ != "forward"

    def call(*args: Any) -> Any:
        nonlocal graph, by_size
        if places:
            args = tuple(DynamicInt(one) if i in places else one for i, one in enumerate(args))
        try:
            return graph(*args)
        except Exception as error:  # the method may raise anything
            if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor", "torch.fx")):
                raise
            if by_size or isinstance(error, FailOnRecompileLimitHit):
                raise CompileError(_why(method, error)) from error
        graph, by_size = _graph(method, dynamic=False), True
        return call(*args)

    return call


def _graph(method: Callable[..., Any], dynamic: bool) -> Callable[..., Any]:
    """Return a method under ``torch.compile``: as one graph, never partly or wholly as plain PyTorch."""
    import torch._dynamo.config as dynamo

    dynamo.recompile_limit = max(dynamo.recompile_limit, GRAPHS)
    dynamo.allow_rnn = True
    assert isinstance(method, FunctionType)
    # Dynamo keeps graphs by code object, and would look through those of other architectures at each call
    code, defaults, closure = method.__code__.replace(), method.__defaults__, method.__closure__
    own = FunctionType(code, method.__globals__, method.__name__, defaults, closure)
    own.__kwdefaults__ = method.__kwdefaults__
    # calls of kernels from C++ make a step a third faster, a long pass no faster, and compile for twice as long
    options: dict[str, Any] = {"cpp_wrapper": method.__name__ != "forward"}
    return torch.compile(own, fullgraph=True, dynamic=dynamic, options=options)


def _why(method: Callable[..., Any], error: Exception) -> str:
    """Return on one line why there is no graph of a method."""
    cause = getattr(error, "inner_exception", None) or error.__cause__ or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    said = ": ".join([type(cause).__name__, *lines[:1]])[:240]
    return f"torch.compile cannot run {method.__qualname__} as one graph for all calls ({said}); use --backend eager"
