"""Counts of one call: depth, operations, FLOPs and bytes, from every operation that it dispatches.

Conventions:
    - A tensor operation is one link, including a reduction or a matrix product. A prefix scan over n elements counts
      ceil(log2 n) links. Views and uninitialised memory count nothing.
    - An operation is one link deeper than its deepest input. Tensors that the call did not create have depth 0, and
      so do constants (``zeros``, ``full``, ``arange``, filling with a number); random numbers have depth 1.
    - A write that covers its destination replaces the depth there. A write that reads its destination (``add_``,
      ``index_add_``, ``index_put_`` with ``accumulate=True``) is one link deeper than it. After any other write by
      index (``index_put_``, ``scatter_``) each element has the larger of its old depth and the depth written. A read
      by index reads all of the table.
    - A solve with a triangular matrix of n rows is a recurrence and counts n links; ``linalg`` has the others of its
      kind.
    - A value that reaches the host raises a floor under every operation that follows.
    - The depth of a call is the depth of its deepest operation.

Only tensor operations dispatched on the calling thread are seen. A compiled function runs as the plain PyTorch that it
was made from, and the counts say so. Whatever else hides its operations makes the counts unknown, with a reason, and
never a number that is too small: values computed by NumPy or Numba, memory reached by its address or written without
an operation, tensors that come from nowhere, work of other threads and processes, replayed graphs. An operator without
a formula hides only what is inside it: its depth and FLOPs are unknown.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Protocol

import torch
from torch import Tensor, UntypedStorage
from torch._ops import HigherOrderOperator, OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from arbench.meters import fused as _fused  # noqa: F401  registers its formulas
from arbench.meters import linalg as _linalg  # noqa: F401  registers its formulas
from arbench.meters.compiled import uncompiled
from arbench.meters.depth import Regions
from arbench.meters.host import Host, reported
from arbench.meters.opaque import opaque_of
from arbench.meters.operators import (
    Args,
    Kind,
    Kwargs,
    Traits,
    Use,
    argument,
    bind,
    reaches_host,
    scan_links,
    traits_of,
)
from arbench.meters.origin import CHANGED, UNKNOWN_ORIGIN, Contents
from arbench.meters.reach import within_reach
from arbench.meters.threads import handed_over
from arbench.meters.work import bytes_of, flops_of, hidden_work

_BITS = 32
"""Bits of the number of an operation below its depth: together they are the mark that ``Regions`` stores."""
COMPUTED = "numbers were read from a tensor, and what was computed from them in Python is not seen"
_FREE_READS = 2
"""Integers and truth values that code from outside may read without an operation between them: a length, say."""
_ITEM = torch.ops.aten._local_scalar_dense.default
_LIFT = torch.ops.aten.lift_fresh.default
_FILLS = (torch.ops.aten.fill_.Tensor, torch.ops.aten.copy_.default)


class CountBudgetExceeded(Exception):  # noqa: N818  the name describes the event
    """Counting took longer than its budget."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Counters of one call."""

    depth: int | None
    """Longest chain of dependent tensor operations; None where an operation could not be followed."""
    ops: int | None
    """Number of tensor operations launched; None where work was done that is not seen."""
    flops: int | None
    """Floating-point operations of products and convolutions; a multiply-add counts as two. None as for ``ops``, and
    where an operator has no formula."""
    bytes: int | None
    """Logical bytes read and written; None as for ``ops``."""
    why_unknown: str | None
    """Reason why a counter is None; the first one if there are several."""
    twin: str | None = None
    """Stand-in that was counted for the call, such as compiled functions as plain PyTorch; None: the call itself."""
    links: Mapping[str, int] = field(default_factory=dict, compare=False)
    """Links of the deepest chain by operator, such as ``aten::cumsum``; they add up to ``depth``. Empty where that is
    unknown."""


class Observer(Protocol):
    """A function that is told of each operation that is counted."""

    def __call__(
        self, op: OpOverload, flops: int, bytes: int, operands: Sequence[tuple[Use, Tensor]], created: Sequence[Tensor]
    ) -> None:
        """Take one operation.

        Args:
            op: the operator.
            flops: its floating-point operations; 0 where they are unknown.
            bytes: the logical bytes that it read and wrote.
            operands: the tensors that it was given, each with its use.
            created: the tensors that it made.
        """


def count(
    call: Callable[[], Any],
    inputs: Iterable[Tensor] = (),
    budget_s: float | None = None,
    outside: bool = False,
    observer: Observer | None = None,
) -> Counts:
    """Run ``call`` once under ``torch.no_grad`` and count its operations.

    Args:
        call: the callable to count. It runs in full, many times slower than usual.
        inputs: tensors that the call reads, checked before it runs. They have depth 0, like every tensor that the
            call does not create.
        budget_s: seconds after which to give up, checked before each operation.
        outside: True for code that nobody here knows: the counts are unknown where it reads numbers one by one with
            which Python may compute instead of tensor operations. These are a real number, and more than
            ``_FREE_READS`` integers or truth values that no operation since the read before made.
        observer: is told of each operation, in order.

    Raises:
        CountBudgetExceeded: the call takes longer than the budget.
        TypeError: an input is not a strided tensor.
    """
    for tensor in inputs:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"inputs must be tensors, not {type(tensor).__name__}")
        if tensor.layout is not torch.strided:
            raise TypeError(f"inputs must be strided tensors, not {tensor.layout}")
    contents = Contents(call, inputs)
    counter = _Counter(budget_s, contents, outside, observer)
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it is one opaque call; the slow path can be followed
    try:
        with (
            torch.no_grad(),
            handed_over(counter.unseen),
            uncompiled(counter.counted_as, counter.unseen),
            reported(counter.read_by_host, counter) as shared,
            counter,
        ):
            result = call()
        if shared.written():
            counter.unseen("memory shared with NumPy was written outside of tensor operations")
        counter.returned(result)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        contents.close()
    return counter.counts()


class _Watched:
    """Facts about an operator, looked up once and used at each of its calls."""

    __slots__ = ("blind", "flops", "name", "op", "opaque", "skip", "traits")

    def __init__(self, op: OpOverload, name: int) -> None:
        self.op = op
        self.name = name
        self.traits = traits_of(op)
        self.skip = self.traits.kind in (Kind.VIEW, Kind.ALLOCATION)
        self.opaque = opaque_of(op)
        self.flops = flops_of(op)
        self.blind = hidden_work(op, self.traits.opaque) if self.flops is None else None


class _Counter(TorchDispatchMode, Host):
    """Dispatch mode that follows every operation dispatched while it is active."""

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False, because nothing is compiled in here.

        Otherwise each operation passes through the compiler's guard, and the first one imports the compiler, which
        takes longer than a whole ladder of counts.
        """
        return False

    def __init__(
        self, budget_s: float | None, contents: Contents, outside: bool, observer: Observer | None = None
    ) -> None:
        super().__init__()
        self._observer = observer
        self._outside, self._free_reads = outside, 0
        self._regions = Regions()
        self._contents = contents
        self._watched: dict[int, _Watched] = {}
        self._floor = self._deepest_mark = self._ops = self._flops = self._bytes = 0
        self._before, self._named = array("q"), array("i")
        """By number of an operation: the mark of its deepest input, and the place of its name among the names."""
        self._names: list[str] = []
        self._why: str | None = None
        self._blind: str | None = None
        self._unseen: str | None = None
        self._away: str | None = None
        self._listed = self._listed_floats = False
        self._looking_up = False
        self._looked_up: WeakIdKeyDictionary = WeakIdKeyDictionary()
        """Views at an index that the host read from a tensor."""
        self._twin: str | None = None
        self._budget_s = budget_s
        self._deadline = float("inf") if budget_s is None else perf_counter() + budget_s

    def counts(self) -> Counts:
        """Return the counts so far."""
        if self._unseen is not None:
            return Counts(None, None, None, None, self._unseen, self._twin)
        why = self._why or self._regions.untracked
        blind = self._blind or self._regions.untracked
        depth, flops = None if why else self._deepest_mark >> _BITS, None if blind else self._flops
        links = {} if why else self._links_of_deepest()
        return Counts(depth, self._ops, flops, self._bytes, why or blind, self._twin, links)

    def _links_of_deepest(self) -> dict[str, int]:
        """Return the links of the deepest chain by operator, the operators with the most links first."""
        found: Counter[str] = Counter()
        mark = self._deepest_mark
        while number := mark & ((1 << _BITS) - 1):
            before = self._before[number - 1]
            found[self._names[self._named[number - 1]]] += (mark >> _BITS) - (before >> _BITS)
            mark = before
        return {name: links for name, links in found.most_common() if links}

    def unknown(self, why: str) -> None:
        """Mark the depth as unknown from here on; the first reason is kept."""
        self._why = self._why or why

    def unseen(self, why: str) -> None:
        """Mark all counts as unknown, because work was done that is not seen.

        The first reason is kept, unless it only says what the work left behind and a later one says what did it.
        """
        if self._unseen in (None, CHANGED, UNKNOWN_ORIGIN):
            self._unseen = why

    def counted_as(self, twin: str) -> None:
        """Note what is counted in place of the call."""
        self._twin = twin

    def left(self, how: str) -> None:
        """Expect any operation from here on to depend on values that the host computes unseen."""
        self._away = f"values were read through {how}, and what was computed from them there is not seen"

    def listed(self, floating: bool) -> None:
        """Expect numbers that the host hands to operations from here on to be values that it computed unseen."""
        self._listed = True
        self._listed_floats = self._listed_floats or floating or self._outside

    def looks_up(self, looking: bool) -> None:
        """Take views from here on to be at an index that the host reads, or no longer."""
        self._looking_up = looking

    def came(self, tensor: Tensor) -> None:
        """Give a tensor made of Python numbers the depth of a constant."""
        if tensor.numel() > 1:  # a single number is written like a constant
            self._regions.create(tensor, 0)
            self._contents.wrote(tensor.untyped_storage(), tensor.is_cpu)
        else:
            self._contents.forget(tensor.untyped_storage())
        if self._away or self._listed_floats or (self._listed and tensor.numel() > 1):
            self.unseen(self._away or COMPUTED)

    def returned(self, result: Any) -> None:
        """Check the tensors of the call's result, and the memory that no operation wrote."""
        for tensor in within_reach(result, code=False)[0]:
            storage = self._regions.storage(tensor)
            if storage is None:
                continue
            if storage not in self._regions:
                self._expect_origin(tensor, storage)
            if why := self._contents.touched(storage):
                self.unseen(why)
        if changed := self._contents.changed():
            self.unseen(changed)

    def _expect_origin(self, tensor: Tensor, storage: UntypedStorage) -> None:
        """Mark all counts as unknown if a tensor that no operation made is new; a single number comes from the host."""
        if tensor.numel() > 1 and not self._contents.existed(storage):
            self.unseen(UNKNOWN_ORIGIN)

    def read_by_host(self, tensor: Tensor) -> None:
        """Raise the floor to the tensor's depth: operations after a read by the host cannot start before it."""
        mark = self._regions.read(tensor)
        if tensor.numel() == 1:
            self._read_one(tensor, mark)
        self._floor = max(self._floor, mark)

    def _read_one(self, tensor: Tensor, mark: int) -> None:
        """Mark all counts as unknown if code from outside may compute in Python with a number that it reads."""
        if not self._outside:
            return
        self._free_reads += mark >> _BITS <= self._floor >> _BITS
        if tensor.is_floating_point() or self._free_reads > _FREE_READS:
            self.unseen(COMPUTED)

    def __torch_dispatch__(self, func: Any, types: Any, args: Args = (), kwargs: Kwargs | None = None) -> Any:
        kwargs = kwargs or {}
        if perf_counter() > self._deadline:
            raise CountBudgetExceeded(f"counting took longer than {self._budget_s:g} s")
        watched = self._watched.get(id(func))
        if watched is None:
            if isinstance(func, HigherOrderOperator):
                self.unseen(f"{func} contains operations that cannot be followed")
                return func(*args, **kwargs)
            watched = self._watched[id(func)] = _Watched(func, len(self._names))
            self._names.append(func._schema.name)
        if watched.skip:
            out = func(*args, **kwargs)
            if func is _LIFT:
                if args[0].numel() > 1 and not args[0].untyped_storage().resizable():  # by whatever name it was made
                    self.unseen(UNKNOWN_ORIGIN)
                self.came(args[0])
            elif watched.traits.kind is Kind.ALLOCATION:
                self._made(out)
            elif self._looking_up or self._looked_up:
                self._look_up(args, out)
            return out
        if watched.traits.composite and watched.opaque is None:
            with self:
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        operands = bind(watched.traits, args, kwargs)
        if self._unseen is None:
            self._touch(watched.traits, operands)
        deepest = self._deepest(watched, args, kwargs, operands)
        links = self._links(watched, args, kwargs)
        out = func(*args, **kwargs)
        self._account(watched, args, kwargs, operands, deepest, links, out)
        return out

    def _look_up(self, args: Args, out: Any) -> None:
        """Remember a view at an index that the host read from a tensor, and views of such a view."""
        if self._looking_up or args[0] in self._looked_up:
            self._looked_up.update(dict.fromkeys(_tensors(out), True))

    def _made(self, out: Any) -> None:
        """Give memory that no operation has written yet the depth 0, and watch it."""
        for tensor in _tensors(out):
            storage = self._regions.storage(tensor)
            if storage is not None:
                self._regions.create(tensor, 0)
                self._contents.made(storage)

    def _touch(self, traits: Traits, operands: list[tuple[Use, Tensor]]) -> None:
        """Check the memory that an operation is about to read or write."""
        regions, contents = self._regions, self._contents
        for use, tensor in operands:
            storage = regions.storage(tensor)
            if storage is None or use is Use.SHAPE:
                continue
            if why := contents.touched(storage):
                self.unseen(why)
            made_here = traits.masks and not tensor.is_floating_point()  # as the index of ``x[[0, 2]]`` is
            if use.reads and storage not in regions and not made_here:
                self._expect_origin(tensor, storage)

    def _deepest(
        self, watched: _Watched, args: Args, kwargs: Kwargs, operands: list[tuple[Use, Tensor]]
    ) -> tuple[int, int]:
        """Return the depth that a call adds its links to, and the mark of the input that decides it."""
        read, deepest = self._regions.read, self._floor
        late = {}
        if watched.opaque is not None and watched.opaque.late:
            named = watched.opaque.late.items()
            late = {id(argument(watched.op, name, args, kwargs)): links << _BITS for name, links in named}
        decides = deepest
        for use, tensor in operands:
            if use.reads:
                mark = read(tensor)
                joined = mark - late.get(id(tensor), 0) if late else mark
                if joined > deepest:
                    deepest, decides = joined, mark
        return deepest >> _BITS, decides

    def _links(self, watched: _Watched, args: Args, kwargs: Kwargs) -> tuple[int, ...]:
        """Return the links that a call adds to its deepest input: one integer, or one for each result."""
        if watched.opaque is not None:
            links = watched.opaque.depth(*args, **kwargs)
            return (links,) if isinstance(links, int) else tuple(links)
        traits = watched.traits
        if traits.opaque is not None:
            self.unknown(traits.opaque)
        if traits.scan:
            return (scan_links(watched.op, args, kwargs),)
        if watched.op in _FILLS and args[1].dim() == 0 and not self._regions.known(args[1]):
            return (0,)  # ``x[i] = 2.0`` is dispatched like this: no operation made the number
        return (traits.links,)

    def _account(
        self,
        watched: _Watched,
        args: Args,
        kwargs: Kwargs,
        operands: list[tuple[Use, Tensor]],
        deepest: tuple[int, int],
        links: tuple[int, ...],
        out: Any,
    ) -> None:
        op, regions = watched.op, self._regions
        base, before = deepest
        self._before.append(before)
        self._named.append(watched.name)
        number = len(self._before)
        mark = (base + (links[0] if len(links) == 1 else max(links))) << _BITS | number
        results = out if isinstance(out, (tuple, list)) else (out,)
        given = {id(regions.storage(tensor)) for _, tensor in operands}
        created, written = [], False
        for position, each in enumerate(results):
            for result in _tensors(each):
                storage = regions.storage(result)
                if id(storage) not in given:
                    created.append(result)
                    regions.create(result, mark if len(links) == 1 else (base + links[position]) << _BITS | number)
                    if storage is None:
                        continue
                    if watched.traits.kind is Kind.CONSTANT:
                        self._contents.made(storage)
                    else:
                        self._contents.wrote(storage, result.is_cpu)
        for use, tensor in operands:
            if use.writes:
                written = True
                if use is Use.PLACED or use is Use.ACCUMULATED:
                    regions.lift(tensor, mark)
                else:
                    regions.write(tensor, mark)
                storage = regions.storage(tensor)
                if storage is not None and (why := self._contents.wrote(storage, tensor.is_cpu)):
                    self.unseen(why)
        if not created and not written and _tensors(out):
            return  # every result aliases an operand: a view that the schema does not declare
        if self._away is not None:
            self.unseen(self._away)
        if self._listed_floats and any(type(value) is float for value in (*args, *kwargs.values())):
            self.unseen(COMPUTED)
        self._deepest_mark = max(self._deepest_mark, mark)
        if watched.traits.host and reaches_host(op, args, kwargs):
            if op is _ITEM:
                self._read_one(args[0], mark)
                if args[0] in self._looked_up:
                    mark += 1 << _BITS  # the lookup is a link of its own
                    self._deepest_mark = max(self._deepest_mark, mark)
            self._floor = max(self._floor, mark)
        opaque = watched.opaque
        self._ops += opaque.ops(*args, **kwargs) if opaque is not None and opaque.ops else 1
        flops = 0
        if watched.flops is not None:
            flops = watched.flops(args, kwargs, out)
            self._flops += flops
        elif watched.blind is not None:
            self._blind = self._blind or watched.blind
        if regions.untracked is not None:  # sparse tensors have no size in bytes
            operands = [(use, t) for use, t in operands if t.layout is torch.strided]
            created = [t for t in created if t.layout is torch.strided]
        moved = bytes_of(op, args, kwargs, operands, created)
        self._bytes += moved
        if self._observer is not None:
            self._observer(op, flops, moved, operands, created)


def _tensors(out: Any) -> list[Tensor]:
    """Return the tensors of an operator's result, in order."""
    if isinstance(out, Tensor):
        return [out]
    return [tensor for one in out for tensor in _tensors(one)] if isinstance(out, (tuple, list)) else []
