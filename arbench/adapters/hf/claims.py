"""What is claimed of the package's models: the growth of depth and work, by the kind of their layers."""

from __future__ import annotations

from collections.abc import Mapping

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
