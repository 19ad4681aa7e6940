"""Which elements of the feed a model's parameters depend on: none of the element's own group or of a later one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from arbench.models import Source, pixelcnn
from arbench.models.layers import dilated

from .sources import changed, feed, group_of, once, repeated


def influence(source: Source, n: int) -> Tensor:
    """Return which parameters change with which element of the feed, in any of some events, (N, N).

    Row i, column j: element i's parameters, element j's feed. Row j of a batch has element j changed, and is compared
    with row j of an unchanged batch of the same shape: a row's last digit may depend on its place in a batch. There are
    several events, since a narrow network's ReLUs can all be off in one.
    """

    def found() -> Tensor:
        reaches = torch.zeros(n, n, dtype=torch.bool)
        for row in range(12):
            f, task = feed(source, n, range(row, row + 1))
            code = source.encode(repeated(task.context, n), n)
            before = f.repeat(n, 1)
            after = before.clone()
            after.diagonal().copy_(changed(source, f)[0])
            reaches |= (source(after, code) != source(before, code)).any(-1).T
        return reaches

    return once(source, ("influence", n), found)


def nothing_leaks(source: Source, n: int) -> None:
    """Parameters of the changed group and of those before are bit-equal; nearly every next one changes."""
    reaches, group = influence(source, n), group_of(source, n)
    assert not reaches[group[:, None] <= group].any()
    groups = int(group.max()) + 1
    next_one = [bool(reaches[group == g + 1][:, group == g].any()) for g in range(groups - 1)]
    # not all: two layers of a PixelCNN do not reach from a row's beginning to the end of the row above
    assert sum(next_one) >= 0.9 * (groups - 1)


class Entry(TorchFunctionMode):
    """Makes a leaf of whatever an integer feed becomes where it enters the network, elements in axis 1."""

    def __init__(self, f: Tensor) -> None:
        super().__init__()
        self.integers, self.leaves = [f], list[Tensor]()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        flat = [a for arg in args for a in (arg if isinstance(arg, tuple | list) else (arg,))]
        if isinstance(out, Tensor) and any(a is known for a in flat for known in self.integers):
            if out.is_floating_point():
                out = out.detach().requires_grad_()
                self.leaves.append(out)
            else:
                self.integers.append(out)
        return out


def no_gradient_from_later(source: Source, n: int) -> None:
    """Exactly zero gradient of an element's parameters from itself and later ones, some from earlier.

    A feed may enter at several places. Where it is only looked at or counted, as fertilities are, there is no
    gradient, from later ones either.
    """
    f, task = feed(source, n, range(1))
    code = source.encode(task.context, n)
    with torch.enable_grad():
        if f.is_floating_point():
            leaves = [f.clone().requires_grad_()]
            params = source(leaves[0], code)
        else:
            with Entry(f) as entry:
                params = source(f, code)
            leaves = entry.leaves
        bounds, group = source.schedule(n), group_of(source, n)
        assert leaves or len(bounds) == 2  # a single group has nothing to read
        for at in (0, 1, n // 2, n - 1):
            total, begin = params[0, at].sum(), bounds[int(group[at])]
            grads: tuple[Tensor | None, ...] = ()
            if leaves and total.requires_grad:
                grads = torch.autograd.grad(total, leaves, retain_graph=True, allow_unused=True)
            found = [
                grad.flatten(2).abs().sum(-1)[0] if grad.dim() > 2 else grad[0].abs()
                for grad in grads
                if grad is not None
            ]
            assert sum(one[begin:].sum() for one in found) == 0
            assert group[at] < 2 or sum(one[:begin].sum() for one in found) > 0


def receptive_field(source: Source, n: int) -> None:
    """An effect from every position inside the dilated stacks' fields, one behind the other; none beyond."""
    field = sum(m.receptive_field for m in source.modules() if isinstance(m, dilated.DilatedStack))
    n = field + 4
    reaches = influence(source, n)
    assert reaches[n - 1, n - 1 - field : n - 1].all()
    assert not reaches[n - 1, : n - 1 - field].any()


def no_blind_spot(source: Source, n: int) -> None:
    """With layers enough every earlier sub-pixel of a PixelCNN matters, to the right above as well."""
    assert isinstance(source, pixelcnn.PixelCNN)
    deep = pixelcnn.PixelCNN(layers=5, channels=24, colours=3, levels=2, kernels=(3, 3), seed=1)
    reaches = influence(deep.double().requires_grad_(False), 48)
    assert torch.equal(reaches, torch.ones(48, 48, dtype=torch.bool).tril(-1))


def conditioning_matters(source: Source, n: int) -> None:
    f, task = feed(source, n, range(1))
    params = source(f, source.encode(task.context, n))
    for name, value in task.context.items():
        other = value + 1 if value.is_floating_point() else (value + 1) % source.alphabets[name]
        assert not torch.equal(source(f, source.encode({**task.context, name: other}, n)), params), name
