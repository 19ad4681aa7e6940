"""Verification of what a method of a stack returned: x carried to the base elements, or its log-density."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from arbench.bench.case import CaseKey
from arbench.bench.dtypes import DTYPES, as_float64
from arbench.bench.inexact import InexactError
from arbench.bench.models.evidence import EXACT, Evidence, first_difference
from arbench.bench.models.judge import Judge, judge_of
from arbench.bench.models.outcome import has_the_shape, has_the_type
from arbench.bench.models.verify.stack.layers import named
from arbench.bench.models.verify.stack.passage import Passage, inverted, log_prob, with_errors
from arbench.methods import Outcome, Task
from arbench.models.stacks import Layer, Stack

LARGEST = 16.0
"""Largest difference, in the error that the dtype itself makes of this element, or of all on average."""
USUAL = 4.0
"""Largest average difference, in the average error of the dtype itself."""
SUMMED = 8.0
"""Largest difference of a log-density, in roundings of all that it is the sum of, beside the dtype's own error."""


def verify_stacked(
    source: Stack, twin: Stack, case: CaseKey, task: Task, outcome: Outcome
) -> tuple[dict[str, Any], Evidence]:
    """Check the outcome of a call of a method of a stack.

    Args:
        source: the model.
        twin: the model in float64.
        case: what was run.
        task: its input.
        outcome: what the call returned.

    Returns:
        Facts for the results file, and the parameters of the base elements.

    Raises:
        InexactError: the outcome is wrong; names the layer that is to blame, where one is.
    """
    has_the_shape(case, outcome)
    has_the_type(source, outcome)
    judge = judge_of(source.distribution)
    if case.op == "score":
        if outcome.log_prob is None:
            raise InexactError("scored without a log-probability")
        if not torch.equal(outcome.x, task.x):  # type: ignore[arg-type]
            raise InexactError("scored another event than the one given")
        facts = _scored(twin, judge, case, outcome)
    else:
        facts = _drawn(twin, case, task, outcome)
    params = source.base(case.n).expand(case.batch, -1, -1)
    return facts, Evidence(params, params.double(), params, 0.0)


def _scored(twin: Stack, judge: Judge, case: CaseKey, outcome: Outcome) -> dict[str, Any]:
    """Check log-densities against the base density of the base elements and autograd's log-determinants."""
    assert outcome.log_prob is not None
    layers, x = twin.layers(case.n), as_float64(outcome.x)
    found = outcome.log_prob.double()
    found = found.sum(1) if found.dim() > 1 else found
    exact, others = with_errors(twin, layers, x, case.dtype, True)
    wanted = log_prob(twin, judge, exact)
    errors = torch.stack([(log_prob(twin, judge, one) - wanted).abs() for one in others]).amax(0)
    base = twin.base(case.n).expand(case.batch, -1, -1)
    size = 1 + judge.log_prob(base, exact.z).abs().sum(1) + torch.stack(list(exact.sizes)).sum(0)
    eps = torch.finfo(DTYPES[case.dtype]).eps
    allowed = EXACT * size + LARGEST * errors.clamp_min(float(errors.mean())) + SUMMED * eps * size
    difference = (found - wanted).abs()
    wrong = ~(difference <= allowed)
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise InexactError(
            f"log-density of row {row} is {float(found[row]):.6g}; autograd's Jacobian gives {float(wanted[row]):.6g}, "
            f"allowed +- {float(allowed[row]):.3g}: {_log_det_at_fault(twin, layers, exact, found - wanted, row)}",
            first_difference=[row, 0],
            differing=int(wrong.sum()),
        )
    return {
        "how": "log p(x) = log p(z) + log |det dz/dx|, z and autograd's Jacobian in float64",
        "largest_difference": float(difference.max()),
        "tolerance": float(allowed.max()),
    }


def _log_det_at_fault(twin: Stack, layers: Sequence[Layer], exact: Passage, off: Tensor, row: int) -> str:
    """Return whose log-determinant is wrong: a layer's, by its own word, or that of the sum."""
    for number, layer in enumerate(layers):
        r = exact.values[number + (layer.reads == "z")]
        sign = 1 if layer.reads == "x" else -1
        said = sign * float(twin(r, layer).forward(r)[1][row].detach())
        true = float(exact.log_dets[number][row])
        if not abs(said - true) <= 1e-6 * (1 + abs(true)):  # an integral that stands for a map is this near
            return f"the log-determinant of {named(layers, number)} is {said:.6g}, and should be {true:.6g}"
    true = sum(float(one[row]) for one in exact.log_dets)
    return (
        f"each layer's log-determinant is right, and their sum is {true:.6g}: as if it were "
        f"{true + float(off[row]):.6g}"
    )


def _drawn(twin: Stack, case: CaseKey, task: Task, outcome: Outcome) -> dict[str, Any]:
    """Check that events, carried to the base elements, are those that the noise draws: in units of noise."""
    assert task.noise is not None
    layers, x = twin.layers(case.n), as_float64(outcome.x)
    noise, base = task.noise.double().squeeze(-1), twin.base(case.n).double()
    scale = base[:, 1].exp()

    def in_noise(z: Tensor) -> Tensor:
        return (z - base[:, 0]) / scale

    exact, others = with_errors(twin, layers, x, case.dtype, False)
    error = torch.stack([in_noise(one.z) - in_noise(exact.z) for one in others]).abs().amax(0)
    difference = (in_noise(exact.z) - noise).abs()
    eps = torch.finfo(DTYPES[case.dtype]).eps
    allowed = (EXACT + SUMMED * eps) * (1 + noise.abs()) + LARGEST * error.clamp_min(float(error.mean()))
    usual, most = float(difference.mean()), USUAL * float(error.mean()) + EXACT + SUMMED * eps
    wrong = ~(difference <= allowed)
    if wrong.any() or not usual <= most:
        row, at = first_difference(wrong) if wrong.any() else divmod(int(difference.argmax()), case.n)
        raise InexactError(
            f"base element {at} of row {row} that the draw is carried to differs from the noise by "
            f"{float(difference[row, at]):.3g}, allowed {float(allowed[row, at]):.3g}: "
            f"{_inversion_at_fault(twin, layers, base, noise[row : row + 1])}",
            first_difference=[row, at],
            differing=int(wrong.sum()),
        )
    return {
        "how": "x carried through every layer is the noise again, in float64",
        "elements": x.numel(),
        "residual": float(difference.max()),
        "residual_allowed": float(allowed.max()),
    }


def _inversion_at_fault(twin: Stack, layers: Sequence[Layer], base: Tensor, noise: Tensor) -> str:
    """Return which layer its package inverts wrongly, and how, on the way of one row of noise (1, N) to the event."""
    y = base[:, 0] + base[:, 1].exp() * noise
    for number in reversed(range(len(layers))):
        layer = layers[number]
        if layer.reads == "z":
            y = twin(y, layer).forward(y)[0].detach()
            continue
        right, maps = inverted(twin, layer, y)
        given = maps.inverse(y)
        limit = 1e-8 * (1 + right.abs()) + 2 * layer.tolerance
        if not bool(((given - right).abs() <= limit).all()):
            worst = float((given - right).abs().max())
            return f"{named(layers, number)} inverts the map of an element wrongly, by up to {worst:.3g}"
        given = given if layer.inverse is None else layer.inverse(y).detach()
        wrong = ~((given - right).abs() <= limit)[0]
        if wrong.any() and layer.rank is not None:
            first = int(layer.rank[wrong].min())
            share = f"place {first} of its {layer.places} on"
            return f"{named(layers, number)} is inverted wrongly from {share}, by up to {float((given - right).abs().max()):.3g}: its inversion stops early"
        if wrong.any():
            return f"{named(layers, number)} is inverted wrongly"
        y = right
    return "each layer alone is inverted rightly by its package"
