"""Draws that mean something: their parameters are numbers, and so are they."""

from __future__ import annotations

import math

from torch import Tensor

from arbench.distributions import Categorical, Distribution

AT_ONCE = 4096
"""Most elements, or groups of them, whose parameters are kept to be checked."""


def check_finite(law: Distribution, x: Tensor, params: Tensor | None, first: int) -> None:
    """Check what was drawn, and from what: a NaN or an infinity draws elements that look like any others.

    Args:
        law: the law of an element. Logits of a ``Categorical`` may be minus infinity, as long as not all of them are.
        x: elements (B, M).
        params: their parameters (B, M, P); None if they are not known.
        first: number of the first element.

    Raises:
        FloatingPointError: one is not finite; names the first element, and what to do.
    """
    known = [one for one in (x, params) if one is not None and one.is_floating_point()]
    if all(math.isfinite(float(one.sum())) for one in known):  # one reading: a sum hides no infinity and no NaN
        return
    bad = ~x.isfinite()
    if params is not None:
        bad = bad | ~(params.amax(-1).isfinite() if isinstance(law, Categorical) else params.isfinite().all(-1))
    if not bad.any():
        return
    at = int(bad.any(0).nonzero()[0])
    row = int(bad[:, at].nonzero()[0])
    kind = str((x if params is None else params).dtype).removeprefix("torch.")
    raise FloatingPointError(
        f"element {first + at} of row {row} has parameters that are not finite in {kind}, so its draw means nothing; "
        "check the weights and the conditioning, or choose a dtype of a larger range"
    )
