"""Walks through an event by calls of ``extend``, each call compared with ``forward``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from arbench.bench.inexact import InexactError
from arbench.bench.job import out_of_memory
from arbench.bench.models.contract import check_extended
from arbench.bench.models.evidence import EXACT, first_difference
from arbench.models import Source
from arbench.own.raised import one_line

_ORDINALS = ("first", "second", "third")


class ExtendError(InexactError):
    """Exception that a model's own ``start`` or ``extend`` raises; the message is one line and names the call."""


@dataclass(frozen=True)
class Walk:
    """Result of one walk.

    Attributes:
        cuts: the bounds of its calls, in groups.
        params: parameters (B, M, P) of the groups that were walked through; None where a call failed.
        worst: largest difference from the parameters of ``forward``.
        at: row and element of the first difference that is not allowed; None if there is none.
        error: why a call failed.
    """

    cuts: Sequence[int]
    params: Tensor | None = None
    worst: float = 0.0
    at: list[int] | None = None
    error: InexactError | None = None

    @property
    def right(self) -> bool:
        """True where every call returned the parameters of ``forward``."""
        return self.error is None and self.at is None


class Walks:
    """The walks of one model through one event.

    Args:
        source: the model.
        f: the event that the network reads (B, N).
        context: its conditioning.
        narrow: whether the model computes few parameters of each element now.

    Attributes:
        code: the encoded conditioning.
        bounds: the bounds of the groups, in elements.
        groups: the number of groups.
        expected: parameters (B, N, P) that ``forward`` returns.
        allowed: largest difference from them.
        independent: whether ``forward`` comes to them without ``extend``.
    """

    def __init__(self, source: Source, f: Tensor, context: Mapping[str, Tensor], narrow: bool = False) -> None:
        self.source, self.f, self.context, self._narrow = source, f, context, narrow
        self.code = source.encode(context, f.shape[1])
        self.bounds = source.schedule(f.shape[1])
        self.groups = len(self.bounds) - 1
        self.expected, self.independent = self._forward()
        self.allowed = EXACT * (1 + float(self.expected.abs().max()))

    def _forward(self) -> tuple[Tensor, bool]:
        calls, extend = 0, self.source.extend

        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            return extend(*args, **kwargs)

        self.source.__dict__["extend"] = counted
        try:
            return self.source(self.f, self.code), calls == 0
        finally:
            del self.source.__dict__["extend"]

    def walk(self, cuts: Sequence[int], f: Tensor | None = None, changing: bool = True) -> Walk:
        """Walk through the groups, with one call between two cuts.

        Args:
            cuts: the bounds of the calls, in groups, from 0.
            f: another event; what it returns is compared with ``forward`` on the first one all the same.
            changing: whether elements that a call must not read yet are changed.
        """
        f = self.f if f is None else f
        try:
            params = self._params(f, self.code, cuts, changing)
        except InexactError as error:
            return Walk(cuts, error=error)
        difference = (params - self.expected[:, : params.shape[1]]).abs().amax(-1)
        wrong = ~(difference <= self.allowed)
        return Walk(cuts, params, float(difference.max()), first_difference(wrong) if wrong.any() else None)

    def beside(self, cuts: Sequence[int], others: Sequence[Tensor]) -> tuple[Tensor | None, Tensor]:
        """Walk through other events side by side, as rows of one batch.

        Args:
            cuts: the bounds of the calls, in groups, from 0.
            others: events like ``f``, with the same conditioning.

        Returns:
            Parameters (K, B, M, P) of the groups that were walked through, None where a call failed, and those of
            ``forward`` (K, B, N, P).
        """
        count, (batch, n) = len(others), self.f.shape
        repeated = {name: value.repeat(count, *[1] * (value.dim() - 1)) for name, value in self.context.items()}
        rows, code = torch.cat([*others]), self.source.encode(repeated, n)
        expected = self.source(rows, code).unflatten(0, (count, batch))
        try:
            return self._params(rows, code, cuts, True).unflatten(0, (count, batch)), expected
        except InexactError:
            return None, expected

    def _params(self, f: Tensor, code: Any, cuts: Sequence[int], changing: bool) -> Tensor:
        calls = extensions(self.source, f, code, cuts, changing, checked=not self._narrow)
        return torch.cat([one for one, _ in calls], dim=1)

    def near(self, a: Tensor, b: Tensor) -> bool:
        """Return whether two tensors of parameters are equal, up to what is allowed."""
        return bool(((a - b).abs() <= self.allowed).all())

    def elements(self, walk: Walk, element: int) -> tuple[int, int]:
        """Return the first element of the call of a walk that computed an element, and the element after its last."""
        return next((a, b) for a, b in pairwise(self.bounds[cut] for cut in walk.cuts) if element < b)

    def group(self, element: int) -> int:
        """Return the number of the group of an element."""
        return next(g for g in range(self.groups) if element < self.bounds[g + 1])


def extensions(
    source: Source, f: Tensor, code: Any, cuts: Sequence[int], changing: bool = False, checked: bool = True
) -> Iterator[tuple[Tensor, Any]]:
    """Call ``start``, then ``extend`` between cuts; yield the parameters and the state that each call returns.

    Args:
        source: the model.
        f: the event that the network reads (B, N).
        code: its encoded conditioning.
        cuts: the bounds of the calls, in groups, from 0.
        changing: whether elements that a call must not read yet are changed.
        checked: whether what a call returns is; not so where a model computes few parameters of each element.

    Raises:
        ExtendError: the model's own code raised an exception.
        ContractError: a call returned something else than parameters of its elements and a state.
    """
    bounds, batch = source.schedule(f.shape[1]), f.shape[0]
    with _named("start failed", source, f):
        state = source.start(batch, f.shape[1], code)
    for number, (g0, g1) in enumerate(pairwise(cuts)):
        seen = torch.cat([f[:, : bounds[g1 - 1]], changed(source, f[:, bounds[g1 - 1] :])], dim=1) if changing else f
        with _named(f"extend failed {_when(number, cuts)}", source, f):
            extended = source.extend(state, seen, g0, g1)
        call = f"extend(state, f, {g0}, {g1})" if g1 - g0 > 1 else "extend"
        if checked:
            check_extended(source, extended, batch, bounds[g1] - bounds[g0], call)
        params, state = extended
        yield params, state


def changed(source: Source, x: Tensor) -> Tensor:
    """Return other elements than those given."""
    if source.feeds == "x" and source.distribution.finite:
        levels = getattr(source.distribution, "levels", 2)
        return (x + max(levels // 2, 1)) % levels
    return x + 1


@contextmanager
def _named(what: str, source: Source, f: Tensor) -> Iterator[None]:
    """Turn an exception of a model into one that says which call failed, unless memory ran out or a GPU is lost."""
    try:
        yield
    except Exception as error:  # a model may raise anything
        if out_of_memory(error) or not _usable(f):
            raise
        double = ", in float64" if any(one.dtype == torch.float64 for one in source.parameters()) else ""
        raise ExtendError(f"{what}{double}: {one_line(error)}") from error


def _usable(f: Tensor) -> bool:
    """Return whether this process can still compute where a tensor is: an exception on a GPU may be its last."""
    if f.is_cuda:
        try:
            torch.cuda.synchronize(f.device)
        except RuntimeError:
            return False
    return True


def _when(number: int, cuts: Sequence[int]) -> str:
    """Return which call of a walk it was, as in ``at its second step, extend(state, f, 1, 2), with the state that``."""
    g0, g1 = cuts[number : number + 2]
    call = f"extend(state, f, {g0}, {g1})"
    if g1 - g0 > 1:
        return f"over several elements at once, in {call}"
    if g0 != number:
        return f"in {call}, after a call over several elements"
    state = "start" if number == 0 else f"its {_step(number - 1)}"
    return f"at its {_step(number)}, {call}, with the state that {state} returned"


def _step(number: int) -> str:
    return f"{_ORDINALS[number]} step" if number < len(_ORDINALS) else f"step {number + 1}"
