"""Uniforms of methods that accept or reject, beside the noise of the law."""

from __future__ import annotations

from torch import Tensor

from arbench.distributions import Distribution, uniforms


def chances(seed: int, rows: range, elements: range, law: Distribution) -> Tensor:
    """Return uniforms (B, N, 1 + K) of a random stream that is independent of the law's noise (B, N, K).

    Args:
        seed: seed of the run.
        rows: numbers of the B events.
        elements: numbers of the N elements.
        law: the distribution of the model.
    """
    return uniforms(seed + 2**63, rows, elements, 1 + law.noise_width)
