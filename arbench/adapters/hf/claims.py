"""Claims for the package's models: the growth of depth and work, by the kind of their layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arbench.models import Claim
from arbench.models.base import Op, at_most

Claims = Mapping[tuple[Op, str], Claim]

_GUESSES: dict[tuple[Op, str], Claim] = {
    ("sample", name): Claim("<= N", "<= N^2") for name in ("speculative", "rejection", "assisted")
}
ATTENTION: Claims = {
    ("score", "parallel"): Claim("<= log N", "N^2"),  # it counts packed sequences by a prefix sum
    ("score", "sequential"): Claim("N", "N^2"),  # each step appends to the cache of the one before
    ("sample", "naive"): Claim("N", "N^3"),
    ("sample", "cached"): Claim("N", "N^2"),
    **at_most(),
    ("sample", "fixed_point"): Claim("<= N", "<= N^3"),
    **_GUESSES,
}
"""Layers of attention to the whole past."""
RECURRENT: Claims = {
    ("score", "parallel"): Claim("N", "N"),
    ("score", "sequential"): Claim("N", "N"),
    ("sample", "naive"): Claim("N^2", "N^2"),
    ("sample", "cached"): Claim("N", "N"),
    **at_most("N^2", "N^2"),
    **_GUESSES,
}
"""Recurrent layers, which the package's plain PyTorch runs token by token, whole events too."""
MIXED: Claims = {
    ("score", "parallel"): Claim("<= N", "<= N^2"),
    ("score", "sequential"): Claim("<= N", "<= N^2"),
    ("sample", "naive"): Claim("<= N^2", "<= N^3"),
    ("sample", "cached"): Claim("<= N", "<= N^2"),
    **at_most("N^2", "N^3"),
    **_GUESSES,
}
"""Everything else, at most: windows, beyond which a step costs no more; recurrent layers beside attention, or in chunks
whose length the configuration sets; experts, which depend on the values."""

TOKEN_BY_TOKEN = ("mamba", "falcon_mamba", "rwkv")
"""Architectures of recurrent layers alone, whose plain PyTorch is a loop over tokens."""
WHOLE = ("DynamicLayer", "StaticLayer")
"""Layers of a cache that keep the whole past of plain attention."""
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
"""Fields of a configuration that say among how many experts a token chooses."""


def claims_of(config: Any, begun: Any, steps: bool) -> Claims:
    """Return the claims of a configuration, the narrowest that hold for its kind of layers.

    Args:
        config: the package's configuration.
        begun: a new cache of the package; None where the architecture makes its own, or has none.
        steps: whether the architecture has a cache.
    """
    if config.model_type in TOKEN_BY_TOKEN:
        return RECURRENT
    if any((getattr(config, name, None) or 1) > 1 for name in EXPERTS):
        return MIXED
    layers = [type(one).__name__ for one in getattr(begun, "layers", None) or ()]
    if layers and all(name in WHOLE for name in layers):
        return ATTENTION
    return ATTENTION if not steps and config.model_type == "openai-gpt" else MIXED
