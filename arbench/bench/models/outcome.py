"""Outcomes of calls: their shape, and a digest by which two of them are compared bit for bit."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor

from arbench.bench.case import CaseKey
from arbench.bench.inexact import InexactError
from arbench.bench.models.evidence import first_difference
from arbench.methods import Outcome
from arbench.models import Source


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


def has_the_shape(case: CaseKey, outcome: Any) -> None:
    """Check that a call returned an outcome whose parts are tensors (B, N). Raises InexactError.

    A log-probability may be that of an event as a whole, (B,).
    """
    if not isinstance(outcome, Outcome):
        raise InexactError(f"returned {type(outcome).__name__}, expected an Outcome")
    parts = {"events": outcome.x, "feed": outcome.f}
    if outcome.log_prob is not None:
        parts["log-probabilities"] = outcome.log_prob
    for name, value in parts.items():
        if not isinstance(value, Tensor):
            numpy = ", or from a function of the noise a NumPy array of numbers" if name == "events" else ""
            raise InexactError(f"returned {name} of type {type(value).__name__}, expected a tensor{numpy}")
        whole = name == "log-probabilities" and value.shape == (case.batch,)
        if value.shape != (case.batch, case.n) and not whole:
            raise InexactError(f"returned {name} of shape {tuple(value.shape)}, expected {(case.batch, case.n)}")


def has_the_numbers(outcome: Outcome) -> None:
    """Check that what an outcome says of its steps can be a number of bytes, or of exchanges. Raises InexactError."""
    for name, least in (("step_bytes", 1), ("exchanges", 0)):
        value = getattr(outcome, name)
        if value is not None and (type(value) is not int or not least <= value < 2**53):
            raise InexactError(f"returned {name} {value!r:.40}, expected a whole number from {least} on")


def has_the_type(source: Source, outcome: Outcome) -> None:
    """Check that events are of the type that the model's law draws: its symbols, or real. Raises InexactError."""
    x, levels = outcome.x, getattr(source.distribution, "levels", None)
    if not source.distribution.finite:
        if not x.is_floating_point():
            raise InexactError(f"returned events of {x.dtype}; the model's law draws real numbers")
        if not x.isfinite().all():
            row, at = first_difference(~x.isfinite())
            raise InexactError(
                f"element {at} of row {row} is {float(x[row, at])}; the model's law draws finite numbers",
                first_difference=[row, at],
            )
        return
    if x.dtype != torch.long:
        raise InexactError(f"returned events of {x.dtype}; the model's law draws symbols, expected int64")
    wrong = (x < 0) | (x >= levels) if levels is not None else x < 0
    if wrong.any():
        row, at = first_difference(wrong)
        most = f"the symbols are 0 to {levels - 1}" if levels is not None else "symbols start at 0"
        raise InexactError(f"element {at} of row {row} is {int(x[row, at])}; {most}", first_difference=[row, at])
