"""Outcomes of calls: their shape, and a digest by which two of them are compared bit for bit."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from arbench.bench.case import CaseKey
from arbench.bench.inexact import InexactError
from arbench.methods import Outcome


def digest(outcome: Outcome) -> str:
    """Return a fingerprint of the bits of what a call returned: events, feed and log-probabilities.

    The parameters are left out, since only a recording call returns them.
    """
    found = hashlib.blake2b(digest_size=16)
    for tensor in (outcome.x, outcome.f, outcome.log_prob):
        found.update(_described(tensor))
    return found.hexdigest()


def _described(tensor: Tensor | None) -> bytes:
    if tensor is None:
        return b"none"
    plain = tensor.detach().contiguous().cpu()
    return f"{plain.dtype} {tuple(plain.shape)}".encode() + plain.view(torch.uint8).numpy().tobytes()


def has_the_shape(case: CaseKey, outcome: Outcome) -> None:
    """Check that the parts of an outcome are tensors (B, N). Raises InexactError."""
    parts = {"events": outcome.x, "feed": outcome.f}
    if outcome.log_prob is not None:
        parts["log-probabilities"] = outcome.log_prob
    for name, value in parts.items():
        if not isinstance(value, Tensor):
            raise InexactError(f"returned {name} of type {type(value).__name__}, expected a Tensor")
        if value.shape != (case.batch, case.n):
            raise InexactError(f"returned {name} of shape {tuple(value.shape)}, expected {(case.batch, case.n)}")
