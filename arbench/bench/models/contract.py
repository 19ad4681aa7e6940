"""The shapes and types that a model's methods must return, looked at before anything is computed from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from arbench.bench.inexact import InexactError
from arbench.models import Claim, Source


class ContractError(InexactError):
    """Result that no model may return; the message is one line and names what is expected."""


def check_class(source: Source) -> None:
    """Raise ContractError unless the sizes and claims of a model have the types of the protocol."""
    for name in ("ladder", "count_ladder"):
        sizes: Any = getattr(source, name)
        if not isinstance(sizes, Sequence) or not all(type(n) is int and n > 0 for n in sizes):
            raise ContractError(f"{name} is {sizes!r}; list sizes N, such as (64, 128, 256, 512, 1024)")
    claims: Any = source.claims
    if not isinstance(claims, Mapping):
        raise ContractError("claims is no dictionary; write {('sample', 'cached'): Claim('N', 'N')}")
    for key, claim in claims.items():
        if not isinstance(claim, Claim) or not all(isinstance(stated, str) for stated in (claim.depth, claim.work)):
            raise ContractError(f"claims[{key!r}] is {claim!r}; write Claim(depth='N', work='N')")


def check_observed(source: Source, observed: Any, rows: int, n: int) -> None:
    """Check what ``observe`` returned: events (rows, n) of the distribution's type, and their conditioning.

    Raises:
        ContractError: it is something else.
    """
    if not isinstance(observed, tuple) or len(observed) != 2:
        raise ContractError(f"observe returns {_kind(observed)}; return events (B, N) and a dictionary of conditioning")
    x, context = observed
    if not isinstance(x, Tensor) or x.shape != (rows, n):
        raise ContractError(f"observe returns events {_kind(x)} for {rows} row and N = {n}; return ({rows}, {n})")
    if source.distribution.finite:
        _check_symbols(x, getattr(source.distribution, "levels", None))
    elif not x.is_floating_point():
        raise ContractError(f"observe returns events of {x.dtype}; the distribution draws real numbers, return float32")
    if not isinstance(context, Mapping):
        raise ContractError(f"observe returns conditioning {_kind(context)}; return a dictionary, empty for none")
    for name, value in context.items():
        if not isinstance(value, Tensor) or not value.dim() or len(value) != rows:
            raise ContractError(f"observe returns conditioning '{name}' {_kind(value)}; return a tensor ({rows}, ...)")
        if not value.is_floating_point() and name not in source.alphabets:
            raise ContractError(f"conditioning '{name}' is of integers; set self.alphabets = {{'{name}': HOW_MANY}}")


def _check_symbols(x: Tensor, levels: int | None) -> None:
    if x.dtype != torch.long:
        raise ContractError(f"observe returns events of {x.dtype}; the distribution draws symbols, return int64")
    if levels is not None and x.numel() and not (int(x.min()) >= 0 and int(x.max()) < levels):
        raise ContractError(
            f"observe returns symbols from {int(x.min())} to {int(x.max())}; the distribution has 0 to {levels - 1}"
        )


def check_forward(source: Source, params: Any, batch: int, n: int) -> None:
    """Raise ContractError unless ``forward`` returned parameters (batch, n, P)."""
    _check_params(source, "forward", params, batch, n)


def check_extended(source: Source, extended: Any, batch: int, elements: int, call: str = "extend") -> None:
    """Raise ContractError unless a call of ``extend`` returned parameters (batch, elements, P) and a state."""
    if not isinstance(extended, tuple) or len(extended) != 2:
        raise ContractError(f"{call} returns {_kind(extended)}; return parameters and the new state")
    _check_params(source, call, extended[0], batch, elements)


def _check_params(source: Source, name: str, params: Any, batch: int, elements: int) -> None:
    wanted = (batch, elements, source.distribution.params_width)
    if not isinstance(params, Tensor) or params.shape != wanted:
        law = type(source.distribution).__name__
        raise ContractError(f"{name} returns parameters {_kind(params)}; a {law} of these elements needs {wanted}")


def _kind(value: Any) -> str:
    """Return a shape, or the type of what has none."""
    return str(tuple(value.shape)) if isinstance(value, Tensor) else f"of type {type(value).__name__}"
