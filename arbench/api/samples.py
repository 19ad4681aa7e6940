"""``arbench.sample``: events that a model draws, with their log-probabilities."""

from __future__ import annotations

import os
from pathlib import Path

from arbench.bench.models.drawing import Drawing
from arbench.bench.models.samples import Samples


def sample(
    model: str,
    *,
    count: int | None = None,
    n: int | None = None,
    method: str | None = None,
    seed: int = 0,
    data: str | Path | None = None,
    weights: str | Path | None = None,
    device: str = "cpu",
    dtype: str = "float32",
) -> Samples:
    """Draw events and verify them, as ``arbench sample`` does: ``arbench.sample("pixelcnn:digits").write("drawn")``.

    Args:
        model: NAME[:PRESET], path.py:Class[:PRESET] or package.module:Class[:PRESET]; trained weights follow an at
            sign, as in "wavenet:nv@speech" or "wavenet@path/to/folder".
        count: number of events B; by default 16 pictures, or 4 sounds or texts.
        n: number of elements N of an event; by default those of a picture as large as those of the data, of a second
            of sound, of 512 bytes of text, or of the longest translation.
        method: sampling method, as ``measure`` takes it; by default the fastest exact one.
        seed: seed of noise and data, and of random weights.
        data: path or name of the data for the conditioning; by default those that ship.
        weights: safetensors file; by default those of ``model``, or random ones.
        device: ``cpu``, ``cuda``, ``cuda:1``, ...
        dtype: float32, float64, float16 or bfloat16.

    Returns:
        The events ``x`` (B, N), their ``log_prob`` (B,), ``bits`` per element, conditioning, and real events beside
        them; ``shown`` are pictures, sounds or texts, and ``write`` makes files of them.

    Raises:
        PlanError: an argument is wrong (``arbench.bench.options``); nothing was drawn.
        InexactError: the method returned something else than what it promises (``arbench.bench.inexact``).
    """
    paths = [None if path is None else os.fspath(path) for path in (data, weights)]
    return Drawing(
        model, count=count, n=n, method=method, seed=seed, data=paths[0], weights=paths[1], device=device, dtype=dtype
    ).draw()
