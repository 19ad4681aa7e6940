"""How the outputs of a module are read: whether output i is the law of element i, or of the next element.

A language model reads tokens and predicts the *next* one: its output i depends on token i. A masked autoencoder
predicts each element from those before it: its output i does not. So one probe tells them apart: elements are changed,
each in an event of its own, and the output at the same place is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from arbench.adapters.forward.outputs import Part, parameters, part_of
from arbench.distributions import Distribution
from arbench.own.raised import one_line

CHANGES = 64
"""Number of changed elements that a probe looks at, where outputs are small."""
MOST_NUMBERS = 1 << 24
"""Most numbers of one output of a probe."""
DOUBT = (0.25, 0.75)
"""Shares of changed elements that change the output at their own place between which the convention is not clear."""


@dataclass(frozen=True)
class Convention:
    """How outputs are read.

    Attributes:
        shift: 1 if output i is the law of element i + 1, 0 if it is that of element i.
        part: where the parameters are in what ``forward`` returns.
    """

    shift: int
    part: Part


def convention_of(network: nn.Module, law: Distribution, n: int, shift: int | None) -> Convention:
    """Return how the outputs of a module for events of ``n`` elements are read.

    Args:
        network: the module.
        law: the law of an element.
        n: number of elements.
        shift: what the user says of it; None to find out.

    Raises:
        ValueError: ``forward`` fails, returns something else than parameters, or it is not clear how they are read; the
            message is one line that says what to do.
    """
    rows = 2 if shift is not None else max(2, min(CHANGES, MOST_NUMBERS // (n * law.params_width)))
    generator = torch.Generator().manual_seed(0)
    x = _moved(events(law, rows, n, generator), network)
    with torch.no_grad():
        before = _called(network, x)
        part = part_of(before, (rows, n, law.params_width))
        if shift is not None:
            return Convention(shift, part)
        places = torch.arange(rows) % n
        row = torch.arange(rows)
        changed = x.clone()
        changed[row, places] = other(law, x[row, places], generator)
        after = parameters(_called(network, changed), part)
    differs = (parameters(before, part) != after).any(-1)
    share = float(differs[row, places].double().mean())
    if DOUBT[0] < share < DOUBT[1]:
        raise ValueError(
            f"output i depends on element i for {share:.0%} of the elements that were tried, so it is not clear whose "
            "law it is; add shift=1 behind the model if it is that of element i + 1, shift=0 if of element i"
        )
    return Convention(int(share >= DOUBT[1]), part)


def events(law: Distribution, rows: int, n: int, generator: torch.Generator) -> Tensor:
    """Return random events (rows, n): symbols of the law's alphabet, or standard normal numbers."""
    if law.finite:
        return torch.randint(int(getattr(law, "levels", 2)), (rows, n), generator=generator)
    return torch.randn(rows, n, generator=generator)


def other(law: Distribution, x: Tensor, generator: torch.Generator) -> Tensor:
    """Return other elements than those given."""
    if not law.finite:
        return x + 1
    levels = int(getattr(law, "levels", 2))
    return (x + torch.randint(1, max(levels, 2), x.shape, generator=generator).to(x.device)) % levels


def _moved(x: Tensor, network: nn.Module) -> Tensor:
    """Return events where a module is, and real ones in its dtype."""
    first = next((one for one in network.parameters() if one.is_floating_point()), torch.empty(0))
    return x.to(first.device, first.dtype if x.is_floating_point() else x.dtype)


def _called(network: Callable[[Tensor], Any], x: Tensor) -> Any:
    try:
        return network(x)
    except Exception as error:  # the user's code may raise anything
        kind = "symbols, int64" if not x.is_floating_point() else f"numbers, {str(x.dtype).removeprefix('torch.')}"
        raise ValueError(f"forward fails on {kind} {tuple(x.shape)}: {one_line(error)}") from error
