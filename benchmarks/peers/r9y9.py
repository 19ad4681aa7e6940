"""WaveNet by r9y9, https://github.com/r9y9/wavenet_vocoder, whose ``incremental_forward`` draws.

Its residual stream is multiplied by sqrt(1/2) after each layer, and its skip sum by sqrt(1/L). Powers of these factors
are folded into the copied weights, so both networks are one function.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import one_hot

from arbench.methods import Outcome, Task
from arbench.methods.peers.noise import NoiseDraws, own_distributions
from arbench.methods.peers.peer import Peer
from arbench.methods.peers.wavenet import conditioning, cycle, layer_weights, unlike
from arbench.models.wavenet import WaveNet


def lacks(source: WaveNet) -> str | None:
    """Return why the peer cannot be a model, or None."""
    return unlike(source)


def build(modules: list[ModuleType], source: WaveNet) -> nn.Module:
    """Return the peer's network with a model's weights."""
    stack, layers = source.stack, len(source.stack.dilations)
    net = modules[0].WaveNet(
        out_channels=source.levels,
        layers=layers,
        stacks=layers // cycle(source),
        residual_channels=stack.residual,
        gate_channels=2 * stack.gate,
        skip_out_channels=stack.skip,
        kernel_size=stack.kernel,
        cin_channels=source.local or -1,
        gin_channels=source.classes or -1,
        scalar_input=False,
    )
    net.make_generation_fast_()
    net.to(source.out).eval().requires_grad_(False)

    def fill(conv: Any, weight: Tensor, bias: Tensor | None = None) -> None:
        conv.weight.copy_(weight if weight.dim() == 3 else weight.unsqueeze(-1))
        if conv.bias is not None:
            conv.bias.zero_() if bias is None else conv.bias.copy_(bias)

    fill(net.first_conv, source.embedding.T)
    shrink = 1.0  # of the residual stream
    for ours, its in zip(layer_weights(source), net.conv_layers, strict=True):
        fill(its.conv, ours.taps / shrink, ours.gate_bias)
        fill(its.conv1x1_out, ours.residual * shrink, ours.residual_bias * shrink)
        fill(its.conv1x1_skip, ours.skip * layers**0.5, ours.skip_bias * layers**0.5)
        if ours.local is not None:
            fill(its.conv1x1c, ours.local)
        if ours.voice is not None:
            fill(its.conv1x1g, ours.voice)
        shrink *= 0.5**0.5
    fill(net.last_conv_layers[1], source.hidden.T, source.hidden_bias)
    fill(net.last_conv_layers[3], source.out.T, source.out_bias)
    net.own_distributions = own_distributions(modules[0])
    return net


def draw(net: Any, source: WaveNet, task: Task) -> Outcome:
    """Draw by the peer's own loop, with the task's noise in place of its random numbers."""
    draws = NoiseDraws(task)
    net.own_distributions.OneHotCategorical = draws.one_hot_categorical()
    local, voice = conditioning(source, task)
    begin = source.out.new_zeros(task.batch, source.levels, 1)
    if voice is not None:
        voice = one_hot(voice, source.classes).to(begin).unsqueeze(-1)
    drawn = net.incremental_forward(begin, c=local, g=voice, T=task.n, test_inputs=begin)
    x = drawn.argmax(1)
    return Outcome(x, x, draws.params)


PEER = Peer(
    name="r9y9",
    repository="https://github.com/r9y9/wavenet_vocoder",
    modules=("wavenet_vocoder.wavenet",),
    model=WaveNet,
    lacks=lacks,
    build=build,
    draw=draw,
    summary="incremental_forward of r9y9/wavenet_vocoder",
    differences=(
        "its scaling of the residual stream by sqrt(1/2) and of the skip sum by sqrt(1/L) is folded into the weights",
        "its first convolution multiplies a one-hot vector, where ours looks up an embedding",
        "it shifts and copies a buffer per layer where ours is a ring, and projects the conditioning at every step",
        "its OneHotCategorical draws with our noise in place of torch.multinomial",
    ),
)
