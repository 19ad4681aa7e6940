"""WaveNet by kan-bayashi, https://github.com/kan-bayashi/PytorchWaveNetVocoder, whose ``fast_generate`` draws.

Events begin with a class of their own, which it embeds as zeros and never draws: our first element reads zeros, too.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from arbench.methods import Outcome, Task
from arbench.methods.peers.noise import NoiseDraws, own_distributions
from arbench.methods.peers.peer import Peer
from arbench.methods.peers.wavenet import conditioning, cycle, layer_weights, unlike
from arbench.models.wavenet import WaveNet

NEVER = -1e30
"""Logit of the class that begins an event."""


def lacks(source: WaveNet) -> str | None:
    """Return why the peer cannot be a model, or None."""
    if source.stack.gate != source.stack.residual:
        return f"has gates as wide as its residual stream; add gate={source.stack.residual}"
    if source.out.dtype != torch.float32:
        return "computes in float32; add --dtype float32"
    return unlike(source)


def build(modules: list[ModuleType], source: WaveNet) -> nn.Module:
    """Return the peer's network with a model's weights."""
    stack, layers = source.stack, len(source.stack.dilations)
    net = modules[0].WaveNet(
        n_quantize=source.levels + 1,
        n_aux=max(source.local + source.classes, 1),
        n_resch=stack.residual,
        n_skipch=stack.skip,
        dilation_depth=cycle(source),
        dilation_repeat=layers // cycle(source),
        kernel_size=stack.kernel,
    )
    net.to(source.out).eval().requires_grad_(False)
    for parameter in net.parameters():
        parameter.zero_()

    def fill(conv: Any, weight: Tensor, bias: Tensor | None = None) -> None:
        conv.weight.copy_(weight if weight.dim() == 3 else weight.unsqueeze(-1))
        if bias is not None:
            conv.bias.copy_(bias)

    net.causal.conv.weight[:, : source.levels, -1] = source.embedding.T
    for i, ours in enumerate(layer_weights(source)):
        filters, gates = ours.taps.chunk(2)
        filter_bias, gate_bias = ours.gate_bias.chunk(2)
        fill(net.dil_tanh[i].conv, filters, filter_bias)
        fill(net.dil_sigmoid[i].conv, gates, gate_bias)
        fill(net.res_1x1[i], ours.residual, ours.residual_bias)
        fill(net.skip_1x1[i], ours.skip, ours.skip_bias)
        given = [weight for weight in (ours.local, ours.voice) if weight is not None]
        if given:
            for_filters, for_gates = torch.cat(given, dim=1).chunk(2)
            fill(net.aux_1x1_tanh[i], for_filters)
            fill(net.aux_1x1_sigmoid[i], for_gates)
    fill(net.conv_post_1, source.hidden.T, source.hidden_bias)
    net.conv_post_2.weight[: source.levels, :, 0] = source.out.T
    net.conv_post_2.bias[: source.levels] = source.out_bias
    net.conv_post_2.bias[source.levels] = NEVER
    net.receptive_field = 1  # no class is put before the event: its layers pad with zeros, as ours do
    net.own_distributions = own_distributions(modules[0])
    return net


def auxiliary(net: Any, source: WaveNet, task: Task) -> Tensor:
    """Return the conditioning (B, C, N): local, then the voice as a one-hot vector; zeros without either."""
    local, voice = conditioning(source, task)
    parts = [] if local is None else [local]
    if voice is not None:
        parts.append(one_hot(voice, source.classes).to(source.out).unsqueeze(-1).expand(-1, -1, task.n))
    return torch.cat(parts, dim=1) if parts else source.out.new_zeros(task.batch, net.n_aux, task.n)


def draw(net: Any, source: WaveNet, task: Task) -> Outcome:
    """Draw by the peer's own loop, with the task's noise in place of its random numbers."""
    draws = NoiseDraws(task)
    net.own_distributions.Categorical = draws.categorical()
    begin = torch.full((task.batch, 1), source.levels, device=source.out.device)
    given = auxiliary(net, source, task)
    if task.batch == 1:
        drawn = [net.fast_generate(begin, given, task.n)]
    else:
        drawn = net.batch_fast_generate(begin, given, [task.n] * task.batch)
    x = torch.stack([torch.from_numpy(one) for one in drawn]).to(begin.device)
    return Outcome(x, x, draws.params)


PEER = Peer(
    name="kan-bayashi",
    repository="https://github.com/kan-bayashi/PytorchWaveNetVocoder",
    modules=("wavenet_vocoder.nets.wavenet",),
    model=WaveNet,
    lacks=lacks,
    build=build,
    draw=draw,
    summary="fast_generate of kan-bayashi/PytorchWaveNetVocoder",
    differences=(
        "its first convolution has as many taps as a layer, all but the newest 0",
        "it has one class more, which begins an event and is never drawn",
        "its buffers start empty instead of with a receptive field of silence, which makes it faster at small N",
        "without conditioning it projects a channel of zeros",
        "its Categorical draws with our noise in place of torch.multinomial",
    ),
)
