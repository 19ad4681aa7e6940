"""Kernels of other libraries, called like ours: their arguments, what they cover, and which are installed.

Only installed libraries are used, and only on a GPU: ``pip install 'arbench[peers]'``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from typing import Any

from torch import Tensor

Inputs = Mapping[str, Any]
Config = Mapping[str, Any]


@dataclass(frozen=True)
class Adapter:
    """One kernel of a peer.

    Args:
        call: takes our kernel's inputs and returns its outputs; imports the peer when called.
        covers: returns True if the peer supports a configuration and computes the same result.
        gradient: True if its gradient can be taken several times after one forward pass.
    """

    call: Callable[[Inputs], Any]
    covers: Callable[[Config], bool] = lambda config: True
    gradient: bool = True


@dataclass(frozen=True)
class Peer:
    """Another library with kernels.

    Args:
        name: name on the package index.
        module: name to import.
        backend: language of its kernels.
        kernels: adapters, by the name of our kernel.
    """

    name: str
    module: str
    backend: str
    kernels: Mapping[str, Adapter] = field(default_factory=dict)

    def covers(self, kernel: str, op: str, config: Config) -> bool:
        """Return True if the library implements this kernel, op and configuration."""
        adapter = self.kernels.get(kernel)
        return adapter is not None and (op == "forward" or adapter.gradient) and adapter.covers(config)


def _last_axis(config: Config) -> bool:
    return config.get("dim", -1) == -1


def _plain(config: Config) -> bool:
    """Return True for rows of logits without ignored ones: the cross-entropies of others then agree with ours."""
    return "ignore" not in config and "ignore_index" not in config


def _narrow(config: Config) -> bool:
    """Return True for what Dao-AILab's convolution supports: depthwise, 2 to 4 adjacent taps, no gate, no states."""
    return (
        config.get("out") is None
        and 2 <= config["width"] <= 4
        and config.get("dilation", 1) == 1
        and config.get("activation") in (None, "silu")
        and not config.get("states")
    )


def _step(config: Config) -> bool:
    return _narrow(config) and not config.get("ring") and not config.get("indices")


def _liger_softmax(inputs: Inputs) -> Tensor:
    from liger_kernel.ops.softmax import LigerSoftmaxFunction

    return LigerSoftmaxFunction.apply(inputs["x"])


def _liger_log_prob(inputs: Inputs) -> Tensor:
    from liger_kernel.transformers.functional import liger_cross_entropy

    logits = inputs["logits"]
    loss = liger_cross_entropy(logits.flatten(0, -2), inputs["index"].flatten(), reduction="none")
    return -loss.float().view(inputs["index"].shape)


def _quack_softmax(inputs: Inputs) -> Tensor:
    from quack.softmax import softmax

    return softmax(inputs["x"])


def _quack_log_prob(inputs: Inputs) -> Tensor:
    from quack.cross_entropy import cross_entropy

    logits = inputs["logits"]
    loss = cross_entropy(logits.flatten(0, -2), inputs["index"].flatten(), reduction="none")
    return -loss.view(inputs["index"].shape)


def _fla_log_prob(inputs: Inputs) -> Tensor:
    from fla.modules.fused_cross_entropy import cross_entropy_loss

    logits = inputs["logits"]
    loss, _ = cross_entropy_loss(logits.flatten(0, -2), inputs["index"].flatten())
    return -loss.view(inputs["index"].shape)


def _fla_conv(inputs: Inputs) -> Tensor:
    from fla.modules.convolution import causal_conv1d

    x = inputs["x"]
    by_time = inputs.get("layout", "BDL") == "BLD"
    y, _ = causal_conv1d(
        x if by_time else x.transpose(1, 2),
        inputs["weight"],
        inputs.get("bias"),
        activation=inputs.get("activation"),
    )
    return y if by_time else y.transpose(1, 2)


def _dao_conv(inputs: Inputs) -> Tensor:
    from causal_conv1d import causal_conv1d_fn

    x = inputs["x"]
    by_time = inputs.get("layout", "BDL") == "BLD"
    y = causal_conv1d_fn(
        x.transpose(1, 2) if by_time else x,
        inputs["weight"],
        inputs.get("bias"),
        activation=inputs.get("activation"),
    )
    return y.transpose(1, 2) if by_time else y


def _dao_update(inputs: Inputs) -> Tensor:
    from causal_conv1d import causal_conv1d_update

    return causal_conv1d_update(
        inputs["x"],
        inputs["conv_state"],
        inputs["weight"],
        inputs.get("bias"),
        inputs.get("activation"),
        cache_seqlens=inputs.get("cache_seqlens"),
        conv_state_indices=inputs.get("conv_state_indices"),
    )


PEERS = (
    Peer(
        "liger-kernel",
        "liger_kernel",
        "triton",
        {
            "softmax": Adapter(_liger_softmax, _last_axis),
            # its forward pass overwrites the logits with the gradient if one is needed
            "log_prob_from_logits": Adapter(_liger_log_prob, _plain, gradient=False),
        },
    ),
    Peer(
        "quack-kernels",
        "quack",
        "cute",
        {
            "softmax": Adapter(_quack_softmax, _last_axis),
            "log_prob_from_logits": Adapter(_quack_log_prob, _plain),
        },
    ),
    Peer(
        "flash-linear-attention",
        "fla",
        "triton",
        {
            "log_prob_from_logits": Adapter(_fla_log_prob, _plain),
            "causal_conv1d": Adapter(_fla_conv, _narrow),
        },
    ),
    Peer(
        "causal-conv1d",
        "causal_conv1d",
        "cuda",
        {"causal_conv1d": Adapter(_dao_conv, _narrow), "causal_conv1d_update": Adapter(_dao_update, _step)},
    ),
)


@cache
def installed() -> tuple[Peer, ...]:
    """Return the installed peers."""
    return tuple(peer for peer in PEERS if find_spec(peer.module) is not None)


def adapter(peer: str, kernel: str) -> Adapter:
    """Return the adapter of a peer's kernel."""
    return next(one for one in PEERS if one.name == peer).kernels[kernel]
