"""Names of cases in the sentences of a check."""

from __future__ import annotations

_MODEL_OPS = {"score": "scoring", "sample": "sampling"}


def title(model: str, op: str, method: str) -> str:
    """Return the name of a family of cases: ``cached sampling of wavenet:nv``, ``softmax:rows=3 forward by arbench``.

    Args:
        model: a model or kernel with its preset.
        op: one of ``arbench.results.Op``.
        method: the method.
    """
    return f"{method} {_MODEL_OPS[op]} of {model}" if op in _MODEL_OPS else f"{model} {op} by {method}"
