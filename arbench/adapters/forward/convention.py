"""How the outputs of a module are read: whether output i is the law of element i, or of the next element.

A language model reads tokens and predicts the *next* one: its output i depends on token i. A masked autoencoder
predicts each element from those before it: its output i does not. So one probe tells them apart: elements are changed,
each in an event of its own, and the output at the same place is looked at.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from arbench.adapters.forward.outputs import Part, parameters, part_of
from arbench.distributions import Categorical, Distribution
from arbench.own.raised import one_line

CHANGES = 64
"""Number of elements that are changed, where outputs are small."""
MOST_NUMBERS = 1 << 24
"""Most numbers of one output of a probe."""
DOUBT = (0.25, 0.75)
"""Shares of changed elements that change the output at their own place between which the convention is not clear: a
language model may ignore some tokens, and a mask may leak for some."""
SUM = 0.01
"""Largest distance from 1 of the sum of numbers that look like probabilities: that of half precision."""


class FailedError(ValueError):
    """Exception that a module raises when it is called; the message is one line."""


@dataclass(frozen=True)
class Convention:
    """How outputs are read.

    Attributes:
        shift: 1 if output i is the law of element i + 1, 0 if it is that of element i.
        part: where the parameters are in what ``forward`` returns.
        asked: whether the user said so.
    """

    shift: int
    part: Part
    asked: bool

    def said(self, begin: float) -> str:
        """Return in a sentence whose law an output is, and what to do where it is another's."""
        whose, reads = "element i", ""
        if self.shift:
            whose, reads = "element i + 1", f", and {begin} is read before the first element"
        if self.asked:
            return f"Output i is read as the law of {whose}, as shift={self.shift} says{reads}."
        if self.shift:
            return (
                f"Output i depends on element i, so it is read as the law of {whose}{reads}; if it is meant as that of "
                "element i, which would be a leak, add shift=0."
            )
        return f"Output i does not depend on element i, so it is read as the law of {whose}; add shift=1 if it is not."

    def guessed(self) -> tuple[str, str] | None:
        """Return what was guessed from the outputs, and which setting says it instead; None where the user said it."""
        if self.asked:
            return None
        if self.shift:
            why = "output i depends on element i, so it was taken for the law of element i + 1: as that of i it leaks"
            return why, "shift=0 behind the model says that it is that of i, shift=1 that it is not"
        why = "output i does not depend on element i, so it was taken for the law of element i"
        return why, "shift=0 behind the model says so, shift=1 that it is that of element i + 1"


def convention_of(network: nn.Module, law: Distribution, n: int, shift: int | None) -> Convention:
    """Return how the outputs of a module are read, from its outputs for events of ``n`` elements.

    Args:
        network: the module.
        law: the law of an element.
        n: number of elements.
        shift: what the user says of it; None to find out.

    Raises:
        FailedError: ``forward`` raises.
        ValueError: it takes other arguments, returns something else than parameters, returns others when it is called
            again, or it is not clear how they are read; the message is one line that says what to do.
    """
    _check_arguments(network)
    rows = max(2, min(CHANGES, MOST_NUMBERS // (n * law.params_width)))
    generator = torch.Generator().manual_seed(0)
    x = events(network, law, rows, n, generator)
    try:
        returned = called(network, x, n)
    except FailedError:
        _check_symbols(network, law, n)
        raise
    part = part_of(returned, (rows, n, law.params_width))
    before = parameters(returned, part)
    _check_logits(before, law)
    if _differs(before, parameters(called(network, x, n), part)).any():
        raise ValueError("forward returns other parameters when it is called again; it must draw nothing itself")
    if shift is not None:
        return Convention(shift, part, True)
    row, place = torch.arange(rows), torch.arange(rows) % n
    changed = x.clone()
    changed[row, place] = other(law, x[row, place], generator)
    differs = _differs(before, parameters(called(network, changed, n), part)).any(-1)
    share = float(differs[row, place].double().mean())
    if DOUBT[0] < share < DOUBT[1]:
        raise ValueError(
            f"output i depends on element i for {share:.0%} of the elements that were tried, so it is not clear whose "
            "law it is: add shift=1 behind the model if it is that of element i + 1, shift=0 if it is that of element i"
        )
    return Convention(int(share >= DOUBT[1]), part, False)


def events(network: nn.Module, law: Distribution, rows: int, n: int, generator: torch.Generator) -> Tensor:
    """Return random events (rows, n) where a module is: symbols of the law, or standard normal numbers in its dtype."""
    first = next((one for one in network.parameters() if one.is_floating_point()), torch.empty(0))
    if law.finite:
        symbols = torch.randint(int(getattr(law, "levels", 2)), (rows, n), generator=generator)
        return symbols.to(first.device)
    return torch.randn(rows, n, generator=generator).to(first.device, first.dtype)


def other(law: Distribution, x: Tensor, generator: torch.Generator) -> Tensor:
    """Return other elements than those given."""
    if not law.finite:
        return x + 1
    levels = int(getattr(law, "levels", 2))
    return (x + torch.randint(1, max(levels, 2), x.shape, generator=generator).to(x.device)) % levels


def shifted(f: Tensor, begin: float) -> Tensor:
    """Return what a module reads of a feed (B, N) whose outputs are the laws of the next elements."""
    return torch.cat([torch.full_like(f[:, :1], begin), f[:, :-1]], dim=1)


def called(network: nn.Module, x: Tensor, n: int) -> Any:
    """Return what a module returns for events. Raises FailedError if it raises."""
    try:
        with torch.no_grad():
            return network(x)
    except Exception as error:  # the user's code may raise anything
        kind = str(x.dtype).removeprefix("torch.")
        raise FailedError(f"forward fails at N = {n}, on {kind} {tuple(x.shape)}: {one_line(error)}") from error


def _differs(a: Tensor, b: Tensor) -> Tensor:
    return (a != b) & ~(a.isnan() & b.isnan())


def _check_logits(params: Tensor, law: Distribution) -> None:
    """Raise ValueError if a law of logits gets probabilities: no logits are all positive and sum to 1 by chance."""
    if not isinstance(law, Categorical) or params.shape[-1] < 2:
        return
    found = params.double()
    if bool((found >= 0).all()) and bool(((found.sum(-1) - 1).abs() <= SUM).all()):
        raise ValueError(
            "forward returns what looks like probabilities, numbers from 0 on that sum to 1 for each element, and this "
            "law needs logits: return their logarithm, or leave out the softmax"
        )


def _check_symbols(network: nn.Module, law: Distribution, n: int) -> None:
    """Raise ValueError if a module that fails on events of a law takes symbols of another one."""
    try:
        returned = called(network, events(network, law, 2, n, torch.Generator()).long() * 0, n)
    except FailedError:
        return
    if isinstance(returned, Tensor) and returned.dim() == 3 and returned.shape[-1] != law.params_width:
        width = returned.shape[-1]
        raise ValueError(
            f"forward fails on events of this law, and takes symbols; it returns {width} parameters of each, so choose "
            f"another law, such as categorical:{width}"
        )


def _check_arguments(network: nn.Module) -> None:
    """Raise ValueError if ``forward`` takes more than events."""
    try:
        takes = inspect.signature(network.forward)
    except (TypeError, ValueError):  # nothing says what it takes
        return
    try:
        takes.bind(None)
    except TypeError:
        names = ", ".join(takes.parameters)
        raise ValueError(
            f"forward takes ({names}), and is called with events (B, N) alone; give the others defaults, or name a "
            "function that returns a module which has them"
        ) from None
