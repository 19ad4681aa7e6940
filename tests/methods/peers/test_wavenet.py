"""The weights that adapters read are our network's: plain convolutions with them are the same function."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import conv1d, pad

from arbench.methods import Task
from arbench.methods.peers.wavenet import conditioning, cycle, layer_weights, unlike
from arbench.models import resolve
from arbench.models.wavenet import WaveNet


def build(spec: str) -> WaveNet:
    source = resolve(spec).build(dtype=torch.float64)
    assert isinstance(source, WaveNet)
    generator = torch.Generator().manual_seed(1)
    for parameter in source.parameters():  # biases start at 0, which would hide where they are put
        parameter.normal_(0, 0.5, generator=generator)
    return source


@pytest.mark.parametrize("settings", ["", ",kernel=3", ",local=0", ",classes=0", ",local=0,classes=0"])
def test_plain_convolutions_with_these_weights_are_our_network(settings: str) -> None:
    n, source = 20, build(f"wavenet:tiny{settings}")
    x, context = source.observe(n, range(2), 0)
    context = {k: v.double() if v.is_floating_point() else v for k, v in context.items()}
    local, voice = conditioning(source, Task(n, context, x=x))
    y = pad(source.embedding[x].transpose(1, 2)[..., :-1], (1, 0))
    total = 0
    for ours, dilation in zip(layer_weights(source), source.stack.dilations, strict=True):
        reach = (source.stack.kernel - 1) * dilation
        gates = conv1d(pad(y, (reach, 0)), ours.taps, ours.gate_bias, dilation=dilation)
        if ours.local is not None:
            gates = gates + conv1d(local, ours.local.unsqueeze(-1))
        if ours.voice is not None:
            gates = gates + ours.voice.T[voice].unsqueeze(-1)
        filters, gate = gates.chunk(2, dim=1)
        hidden = filters.tanh() * gate.sigmoid()
        y = y + conv1d(hidden, ours.residual.unsqueeze(-1), ours.residual_bias)
        total = total + conv1d(hidden, ours.skip.unsqueeze(-1), ours.skip_bias)
    found = torch.relu(torch.relu(total).transpose(1, 2) @ source.hidden + source.hidden_bias) @ source.out
    torch.testing.assert_close(found + source.out_bias, source(x, source.encode(context, n)))


@pytest.mark.parametrize(("layers", "per_cycle"), [(4, 2), (6, 3), (3, 3), (3, 1), (1, 1), (5, 8)])
def test_the_cycle_is_read_off_the_dilations(layers: int, per_cycle: int) -> None:
    assert cycle(build(f"wavenet:tiny,layers={layers},cycle={per_cycle}")) == min(layers, per_cycle)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (",skip=4", None),
        ("", "has a hidden layer as wide as its skip sum; add skip=4"),
        (",skip=4,layers=5", "has whole cycles of dilations; add layers=4"),
        (",loss=gaussian", "draws mu-law classes; add loss=softmax"),
    ],
)
def test_what_a_published_wavenet_of_this_form_is_not(settings: str, why: str | None) -> None:
    assert unlike(build(f"wavenet:tiny{settings}")) == why


def test_half_precision_is_refused() -> None:
    source = resolve("wavenet:tiny,skip=4").build(dtype=torch.bfloat16)
    assert unlike(source) == "computes in float32 or float64; add --dtype float32"
