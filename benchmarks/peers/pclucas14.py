"""PixelCNN++ by pclucas14, https://github.com/pclucas14/pixel-cnn-pp, sampled as its ``main.py`` does.

The loop evaluates the whole network for every pixel. ``main.py`` trains when it is imported, so the loop is here. Its
own draws are not rounded to levels, and so have another law than the one that it trains: draws are ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any

import torch
from torch import nn

from arbench.methods import Outcome, Task
from arbench.methods.peers.peer import Peer
from arbench.models.layers.shifted import Conv, GatedResnet, Grow, concat_elu
from arbench.models.layers.weight_norm import WeightNormed
from arbench.models.pixelcnnpp import PixelCNNpp

HALVINGS = 2
"""Number of times that it halves an image."""


def lacks(source: PixelCNNpp) -> str | None:
    """Return why the peer cannot be a model, or None."""
    if source.above.halvings != HALVINGS:
        return f"halves images twice; add halvings={HALVINGS}"
    if source.above.act is not concat_elu:
        return "has concatenated ELUs only; add activation=concat_elu"
    if source.classes:
        return "takes no class; add classes=0"
    if source.colours not in (1, 3):
        return "has images of 1 or 3 colours; add colours=3"
    return None


def build(modules: list[ModuleType], source: PixelCNNpp) -> nn.Module:
    """Return the peer's network with a model's weights."""
    law = source.distribution
    net = modules[0].PixelCNN(
        nr_resnet=len(source.above.resnets(True, 0)),
        nr_filters=source.params.direction.shape[0],
        nr_logistic_mix=law.components,
        input_channels=source.colours,
    )
    net.to(source.params.gain).eval().requires_grad_(False)
    _fill(net.u_init.conv, source.enter_above)
    _fill(net.ul_init[0].conv, source.enter.above)
    _fill(net.ul_init[1].conv, source.enter.before)
    for stream, name in ((source.above, "u_stream"), (source.left, "ul_stream")):
        for level in range(HALVINGS + 1):
            _fill_resnets(getattr(net.up_layers[level], name), stream.resnets(True, level))
            _fill_resnets(getattr(net.down_layers[HALVINGS - level], name), stream.resnets(False, level))
        for level in range(HALVINGS):
            halve, double = stream.between(level)
            _fill(getattr(net, f"downsize_{name}")[level].conv, halve)
            _fill(getattr(net, f"upsize_{name}")[HALVINGS - 1 - level].deconv, double)
    _fill(net.nin_out.lin_a, source.params)
    return net


def _fill_resnets(its: Iterable[Any], ours: list[tuple[Any, GatedResnet]]) -> None:
    for layer, (_, resnet) in zip(its, ours, strict=True):
        _fill(layer.conv_input.conv, resnet.first)
        _fill(layer.conv_out.conv, resnet.second)
        if resnet.join is not None:
            _fill(layer.nin_skip.lin_a, resnet.join, parts=resnet.join.direction.shape[0] // resnet.first.inputs)


def _fill(layer: Any, ours: WeightNormed, parts: int = 1) -> None:
    """Set direction, gain and bias of a layer so that its weight is ours.

    Args:
        layer: its layer.
        ours: our layer.
        parts: number of tensors that the input joins; ours are activated one by one, its together.
    """
    weight, bias = ours.folded()
    if isinstance(ours, Conv):
        kernel = ours.kernel
        weight = weight.unflatten(0, (kernel.rows, kernel.width, ours.inputs)).permute(3, 2, 0, 1)
    elif isinstance(ours, Grow):
        weight = weight.unflatten(1, (2, ours.kernel.width, ours.outputs)).permute(0, 3, 1, 2)
    else:
        weight = weight.unflatten(0, (parts, 2, -1)).transpose(0, 1).flatten(0, 2).T if parts > 1 else weight.T
    layer.weight_v.copy_(weight)
    layer.weight_g.copy_(torch.norm_except_dim(layer.weight_v, 2, 0))
    layer.bias.copy_(bias)


def draw(net: Any, source: PixelCNNpp, task: Task) -> Outcome:
    """Draw pixel by pixel, each from the whole network; the task's noise decides."""
    assert task.noise is not None
    side, colours, like = source.side(task.n), source.colours, source.params.gain
    image = like.new_zeros(task.batch, colours, side, side)
    x = torch.zeros(task.batch, task.n, dtype=torch.long, device=like.device)
    kept = []
    for at in range(task.n):
        row, column = divmod(at, side)
        params = net(image, sample=True)[:, :, row, column].unsqueeze(1)
        x[:, at : at + 1] = source.distribution.draw(params, task.noise[:, at : at + 1])
        image[:, :, row, column] = source.channels(x[:, at : at + 1], like.dtype)[:, 0, :colours]
        if task.record:
            kept.append(params)
    return Outcome(x, x, torch.cat(kept, dim=1) if kept else None)


PEER = Peer(
    name="pclucas14",
    repository="https://github.com/pclucas14/pixel-cnn-pp",
    modules=("model",),
    model=PixelCNNpp,
    lacks=lacks,
    build=build,
    draw=draw,
    summary="the whole network of pclucas14/pixel-cnn-pp for every pixel, as its main.py samples",
    differences=(
        "it normalises its weights again in every evaluation",
        "its transposed convolutions normalise by input channel, ours by output channel, but the weights are equal",
        "its own draws are not rounded to levels, so ours replace them",
        "a print statement of Python 2 in its utils.py is read as Python 3",
    ),
    rewrites={"utils.py": (("print e", "print(e)"),)},
)
