"""Verification of what a method of a stack returned: x carried to the base elements, or its log-density."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import torch
from torch import Tensor

from arbench.bench.case import CaseKey
from arbench.bench.dtypes import DTYPES, as_float64
from arbench.bench.inexact import InexactError
from arbench.bench.models.evidence import EXACT, Evidence, first_difference
from arbench.bench.models.judge import Judge, judge_of
from arbench.bench.models.oracle.change_of_variables import slopes
from arbench.bench.models.outcome import has_the_shape, has_the_type
from arbench.bench.models.verify.stack.layers import named
from arbench.bench.models.verify.stack.passage import Moved, Passage, carry, inverted, log_prob, with_errors
from arbench.methods import Method, Outcome, Task
from arbench.models.layers.stacks import Layer, Maps, Stack

LARGEST = 16.0
"""Largest difference, in the error that the dtype itself makes of this element, or of all on average."""
USUAL = 4.0
"""Largest average difference, in the average error of the dtype itself."""
CHAINED = "in float64, with networks by which each element depends strongly on the one before"
"""Where an inversion is checked beside the model itself."""
FAR = {"score": 4.0, "sample": 2.5}
"""Standard deviation of the elements, or of the noise, by which the tails are checked. Noise of float64 ends at 8."""
FAR_ROWS = 32
"""Events of them: noise is beyond 4 in a tenth of them."""
SAME = 1e-12
"""Largest difference of an inverse in float64, over 1 + its size, beside what the package allows itself."""
NEAR = 0.1
"""Largest error of an inverse, over 1 + its size, that looks like a search that stopped early."""
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


def verify_tails(method: Method, twin: Stack, case: CaseKey, task: Task, seed: int) -> dict[str, Any]:
    """Check a method in float64 on elements that are far larger than usual ones: maps may be wrong there alone.

    What is found by a search is left out: it finds what lies between two bounds.

    Returns:
        Facts for the results file: ``tails``, how many elements were checked, and ``tails_largest``, the largest.

    Raises:
        InexactError: an outcome is wrong.
    """
    inverted_from = "x" if case.op == "sample" else "z"
    searched = any(layer.tolerance and layer.reads == inverted_from for layer in twin.layers(case.n))
    if case.method == "own_samples" or task.context or searched:
        return {}
    other = msgspec.structs.replace(case, dtype="float64", batch=FAR_ROWS)
    like = task.noise if task.x is None else task.x
    assert like is not None
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(FAR_ROWS, *like.shape[1:], generator=generator, dtype=torch.float64).to(like.device)
    values *= FAR[case.op]
    given = replace(task, noise=values) if task.x is None else replace(task, x=values)
    try:
        verify_stacked(twin, twin, other, given, method.run(twin, given))
    except InexactError as error:
        raise InexactError(
            f"in float64, with values {FAR[case.op]:g} times as large as usual, {error}", **error.facts
        ) from None
    return {"tails": values.numel(), "tails_largest": float(values.abs().max())}


def verify_inversion(method: Method, twin: Stack, case: CaseKey, task: Task) -> dict[str, Any]:
    """Check a method that inverts layers in float64: on the model, and on one whose elements depend strongly on others.

    With random weights an element hardly depends on the one before, and a few evaluations find all of them up to
    rounding: an inversion that stops early would pass.

    Returns:
        Facts for the results file: ``inversions``, how many calls were checked.

    Raises:
        InexactError: a call returned something else than the inverse.
    """
    if case.method == "own_samples" or not twin.loops("x" if case.op == "sample" else "z"):
        return {}
    exact, double = msgspec.structs.replace(case, dtype="float64"), as_float64({"noise": task.noise, "x": task.x})
    checked, chained = 0, twin.chained(case.n)
    for stack, where in ((twin, "in float64"), (chained, CHAINED)):
        if stack is None:
            continue
        given = replace(task, **double)
        try:
            verify_stacked(stack, stack, exact, given, method.run(stack, given))
        except InexactError as error:
            raise InexactError(f"{where}, {error}", **error.facts) from None
        checked += 1
    return {"inversions": checked}


def _scored(twin: Stack, judge: Judge, case: CaseKey, outcome: Outcome) -> dict[str, Any]:
    """Check log-densities against the base density of the base elements and autograd's log-determinants."""
    assert outcome.log_prob is not None
    layers, x = twin.layers(case.n), as_float64(outcome.x)
    found = outcome.log_prob.double()
    found = found.sum(1) if found.dim() > 1 else found
    exact, others = with_errors(lambda moved: carry(twin, layers, x, dets=True, moved=moved), case.dtype)
    wanted = log_prob(twin, judge, exact)
    errors = torch.stack([(log_prob(twin, judge, one) - wanted).abs() for one in others]).amax(0)
    base = twin.base(case.n).expand(case.batch, -1, -1)
    size = 1 + judge.log_prob(base, exact.end).abs().sum(1) + torch.stack(list(exact.sizes)).sum(0)
    eps = torch.finfo(DTYPES[case.dtype]).eps
    allowed = EXACT * size + LARGEST * errors.clamp_min(float(errors.mean())) + SUMMED * eps * size
    difference = (found - wanted).abs()
    wrong = ~(difference <= allowed)
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise InexactError(
            f"log-density of row {row} is {float(found[row]):.6g}; autograd's Jacobian gives {float(wanted[row]):.6g}, "
            f"allowed +- {float(allowed[row]):.3g}: {_log_det_at_fault(twin, layers, exact, found - wanted, row)}",
            check="log_det",
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
    taken = true + float(off[row])
    return f"as if its log-determinant were {taken:.6g}, which should be {true:.6g}; that of each layer alone is right"


def _drawn(twin: Stack, case: CaseKey, task: Task, outcome: Outcome) -> dict[str, Any]:
    """Check that events, carried towards the base elements, meet what the noise draws, carried towards the events.

    Both go through layers that are one pass for them, as far as there are such.
    """
    assert task.noise is not None
    layers, x = twin.layers(case.n), as_float64(outcome.x)
    base, noise = twin.base(case.n).double(), task.noise.double().squeeze(-1)
    scale = base[:, 1].exp()
    met = next((number for number, layer in enumerate(layers) if layer.loops_to("z")), len(layers))
    if any(layer.loops_to("x") for layer in layers[met:]):
        met = len(layers)  # some layers have to be inverted for either
    whole = met == len(layers)

    def gap(moved: Moved | None) -> Passage:
        up = carry(twin, layers[:met], x, moved=moved, drawn=True).end
        down = carry(twin, layers[met:], base[:, 0] + scale * noise, to="x", moved=moved).end
        return Passage([(up - down) / (scale if whole else 1.0)])

    exact, others = with_errors(gap, case.dtype)
    error = torch.stack([one.end - exact.end for one in others]).abs().amax(0)
    difference, size = exact.end.abs(), 1 + (noise if whole else x).abs()
    eps = torch.finfo(DTYPES[case.dtype]).eps
    allowed = (EXACT + SUMMED * eps) * size + LARGEST * error.clamp_min(float(error.mean()))
    usual, most = float(difference.mean()), USUAL * float(error.mean()) + (EXACT + SUMMED * eps) * float(size.mean())
    wrong = ~(difference <= allowed)
    if wrong.any() or not usual <= most:
        row, at = first_difference(wrong) if wrong.any() else divmod(int(difference.argmax()), case.n)
        where = "the noise" if whole else "what the noise is carried to"
        raise InexactError(
            f"element {at} of row {row}, carried {'to the base elements' if whole else 'to where both meet'}, differs "
            f"from {where} by {float(difference[row, at]):.3g}, allowed {float(allowed[row, at]):.3g}: "
            f"{_at_fault(twin, layers, base, noise[row : row + 1])}",
            check="layers",
            first_difference=[row, at],
            differing=int(wrong.sum()),
        )
    return {
        "how": "x carried through the layers is the noise again, in float64",
        "elements": x.numel(),
        "residual": float(difference.max()),
        "residual_allowed": float(allowed.max()),
    }


def _at_fault(twin: Stack, layers: Sequence[Layer], base: Tensor, noise: Tensor) -> str:
    """Return which layer is inverted wrongly, and how, on the way of one row of noise (1, N) to the event."""
    y = base[:, 0] + base[:, 1].exp() * noise
    for number in reversed(range(len(layers))):
        layer = layers[number]
        if layer.reads == "z":
            y = twin(y, layer).forward(y)[0].detach()
            continue
        right, maps = inverted(twin, layer, y)
        off = _distance(maps, maps.inverse(y).detach(), y)
        limit = SAME * (1 + right.abs()) + 2 * layer.tolerance
        if not bool((off <= limit).all()):
            near = bool((off <= NEAR * (1 + right.abs())).all())
            early = ", as if its search stopped early" if near else ""
            return (
                f"{named(layers, number)} inverts the map of an element wrongly, by up to {float(off.max()):.3g}{early}"
            )
        if layer.inverse is not None and layer.rank is not None:
            given = layer.inverse(y).detach()
            off = _distance(twin(given, layer), given, y)
            wrong = ~(off <= limit)[0]
            if wrong.any():
                first, size = int(layer.rank[wrong].min()), float(off.max())
                early = ", as if its inversion stopped early" if first else ""
                places = f"place {first} of its {layer.places} on"
                return f"{named(layers, number)} is inverted wrongly from {places}, by up to {size:.3g}{early}"
        y = right
    return "each layer alone is inverted rightly"


def _distance(maps: Maps, r: Tensor, w: Tensor) -> Tensor:
    """Return how far r (B, N) is from the values with m(r) = w, each given its own past."""
    found, slope = slopes(lambda rows: maps.forward(rows)[0], r)
    return ((found - w) / slope).abs()
