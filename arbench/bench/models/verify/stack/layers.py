"""Probes of the layers of a stack: the map of an element depends on the elements before it in the layer's order alone.

Elements of some places on are changed, in many rows at once, and the maps of the elements up to there are evaluated at
fixed values: they must stay bit-equal. Autograd's Jacobian, in float64, must have no other entries either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from arbench.bench.dtypes import as_float64
from arbench.bench.inexact import InexactError
from arbench.bench.models.evidence import EXACT, check_finite
from arbench.bench.models.oracle.change_of_variables import jacobian, slopes
from arbench.bench.models.verify.stack.passage import carry
from arbench.models.layers.stacks import Layer, Stack

CHANGES = 16
"""Changes that are tried at each place."""
PLACES = 16
"""Most places of a layer's order from which on elements are changed, evenly spaced."""
VALUES = (0.1, 0.5, 0.9)
"""Quantiles of a layer's input at which maps are compared."""
OUTPUTS = 64
"""Most elements whose rows of a layer's Jacobian are computed."""


def named(layers: Sequence[Layer], number: int) -> str:
    """Return ``layer 2 of 3 (NAME)``, counted from the events."""
    return f"layer {number + 1} of {len(layers)} ({layers[number].name})"


def probe_stack(source: Stack, twin: Stack, x: Tensor, n: int, seed: int) -> dict[str, Any]:
    """Probe the layers of a stack with real events.

    Args:
        source: the model.
        twin: the model in float64.
        x: events (B, N).
        n: number of elements N.
        seed: seed of the changes.

    Returns:
        Facts for the results file: ``layers``; ``leak_probes``, the places probed in all layers; ``leak_changes`` tried
        at each; ``jacobian_rows`` computed in all layers.

    Raises:
        InexactError: a layer leaks, rows of a batch mix, or values are not finite.
    """
    layers, exact = source.layers(n), twin.layers(n)
    several = as_float64(x if len(x) > 1 else torch.cat([x, x + 1]))
    passage = carry(twin, exact, several)
    for row in (0, len(several) - 1):
        alone = carry(twin, exact, several[row : row + 1]).end
        if not (passage.end[row : row + 1] - alone).abs().max() <= EXACT * (1 + alone.abs().max()):
            raise InexactError("a row of a batch changes with the other rows", check="rows", first_difference=[row, 0])
    passage = replace(passage, values=[one[: len(x)] for one in passage.values])
    generator = torch.Generator().manual_seed(seed)
    probes = rows = 0
    for number, (layer, same) in enumerate(zip(layers, exact, strict=True)):
        check_finite(passage.values[number + 1].unsqueeze(-1))
        if layer.rank is None:
            continue
        r = passage.values[number + (layer.reads == "z")]
        probes += _probe(source, layers, number, r.to(x.dtype), generator)
        _probe(twin, exact, number, r, generator)
        rows += _jacobian(twin, exact, number, same, r[0])
    return {"layers": len(layers), "leak_probes": probes, "leak_changes": CHANGES, "jacobian_rows": rows}


def _probe(source: Stack, layers: Sequence[Layer], number: int, r: Tensor, generator: torch.Generator) -> int:
    """Change elements of a layer's input r (B, N) from places on; return how many places."""
    layer = layers[number]
    rank = layer.rank
    assert rank is not None
    pasts = r.repeat(CHANGES, 1)
    pasts[len(r) :] += _normal(pasts[len(r) :], generator) * (r.std(unbiased=False) + 1)
    values = torch.quantile(r.double().flatten(), torch.tensor(VALUES, dtype=torch.float64, device=r.device)).to(r)

    def maps(rows: Tensor) -> Tensor:
        found = source(rows, layer)
        return torch.stack([found.forward(value.expand(rows.shape).contiguous())[0] for value in values], -1)

    before = maps(pasts)
    check_finite(before)
    places = sorted({round(at) for at in torch.linspace(0, layer.places - 1, PLACES).tolist()})
    for place in places:
        size = 10.0 ** torch.randint(-1, 2, (len(pasts), 1), generator=generator).to(pasts)
        changed = torch.where(rank >= place, pasts + _normal(pasts, generator) * size, pasts)
        differs = (maps(changed) != before).any(-1) & (rank <= place)
        if differs.any():
            row, at = (int(one) for one in differs.nonzero()[0])
            raise InexactError(_leak(layers, number, rank, at, _culprit(maps, pasts[row], changed[row], rank, at)))
    return len(places)


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like)


def _culprit(maps: Any, past: Tensor, changed: Tensor, rank: Tensor, at: int) -> int | None:
    """Return the element of the same or a later place that changes the map of element ``at``; None if none alone."""
    for other in _later(rank, at):
        rows = past.repeat(2, 1)
        rows[1, other] = changed[other]
        found = maps(rows)[:, at]
        if not torch.equal(found[0], found[1]):
            return other
    return None


def _later(rank: Tensor, at: int) -> Iterator[int]:
    return (int(other) for other in (rank >= rank[at]).nonzero().flatten())


def _leak(layers: Sequence[Layer], number: int, rank: Tensor, at: int, other: int | None) -> str:
    what = "elements that do not come before it in its order"
    if other == at:
        what = "that element itself"
    elif other is not None:
        where = "comes later in" if rank[other] > rank[at] else "has the same place in"
        what = f"element {other}, which {where} its order"
    return f"{named(layers, number)} leaks: the map of element {at} changes with {what}"


def _jacobian(twin: Stack, layers: Sequence[Layer], number: int, layer: Layer, r: Tensor) -> int:
    """Check rows of the Jacobian of an ordered layer at one point r (N,); return how many."""
    rank = layer.rank
    assert rank is not None
    n = len(r)
    outputs = torch.linspace(0, n - 1, min(n, OUTPUTS)).round().long().to(r.device)
    found = jacobian(lambda rows: twin(rows, layer).forward(rows)[0], r, outputs)
    maps = twin(r[None], layer)
    _, slope = slopes(lambda rows: maps.forward(rows)[0], r[None])
    for row, at in zip(found, outputs.tolist(), strict=True):
        wrong = (rank >= rank[at]) & (row.abs() > EXACT * (1 + float(row.abs().max())))
        own = abs(float(row[at] - slope[0, at])) > EXACT * (1 + abs(float(slope[0, at])))
        wrong[at] = own
        if wrong.any():
            raise InexactError(_leak(layers, number, rank, at, int(wrong.nonzero()[0])))
    return n if n <= OUTPUTS else OUTPUTS
