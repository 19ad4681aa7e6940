"""Verification: no case is timed before its answer was held against the model's own definition.

A pointwise exact sampler's output is the one fixed point of x -> draw(forward(x), noise), so one parallel
forward checks it at any N, each element given its own prefix. Equal draws alone are a weak witness, so the
log-probabilities of what was drawn are compared too. A forward that leaks from the future would confirm
itself, so it is probed, and held against ``extend`` in float64.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import torch
from torch import Tensor

from arbench.bench.case import CaseKey
from arbench.bench.models.settings import DTYPES, Setting, as_float64, run
from arbench.distributions import Categorical
from arbench.methods import Outcome, Task
from arbench.models import Source

PARAMETERS = {"float64": 1e-9, "float32": 1e-3, "float16": 0.1, "bfloat16": 0.5}
"""How far parameters may lie from float64's, over 1 + their largest: deep stacks add up roundings."""
EXACT = 1e-10
"""How far two float64 ways to the same number may lie apart, over 1 + its size."""
TYPICAL = 4.0
"""How far log-probabilities may lie from forward's on average, over the dtype's own average error."""
USUAL = 2.5
"""How far real elements may miss x = f(z) on average: times the dtype's own error, rounding of x aside."""
SURPRISE = 6.0
"""Standard deviations that draws of a method that promises the law alone may be off in log-probability."""
POSITIONS = 64
"""Last positions at which ``forward`` is held against ``extend``."""


class InexactError(Exception):
    """A method or a model that breaks its own promise."""

    def __init__(self, what: str, **facts: Any) -> None:
        super().__init__(what)
        self.facts = facts


@dataclass
class Evidence:
    """What a feed implies: its parameters in the measured dtype and in float64.

    Steps are plain PyTorch whatever backend ``forward`` runs on, and in half precision they round more often
    than a fused kernel does: what is allowed follows the larger of both errors.
    """

    params: Tensor
    exact: Tensor
    plain: Tensor
    """In the measured dtype, from the reference backend; ``params`` itself where that is measured."""

    @property
    def own_error(self) -> Tensor:
        """Per element (B, N), the largest difference of a parameter from float64's."""
        return (self.params.double() - self.exact).abs().amax(-1)

    @property
    def error(self) -> Tensor:
        """The same, or that of plain PyTorch where it is larger."""
        return torch.maximum(self.own_error, (self.plain.double() - self.exact).abs().amax(-1))


def evidence(source: Source, twin: Source, f: Tensor, task: Task) -> Evidence:
    """One parallel forward over a feed (B, N), in both dtypes."""
    params = source(f, source.encode(task.context, task.n))
    context = as_float64(dict(task.context))
    exact = twin(as_float64(f), twin.encode(context, task.n))
    backend = source.backend
    if backend == "reference":
        return Evidence(params, exact, params)
    try:
        plain = source.use("reference")(f, source.encode(task.context, task.n))
    finally:
        source.use(backend)
    return Evidence(params, exact, plain)


def verify_case(
    setting: Setting,
    source: Source,
    twin: Source,
    case: CaseKey,
    evaluated: Callable[[], int] = lambda: 0,
) -> tuple[dict[str, Any], float, int]:
    """Runs a case once and checks what came out.

    Args:
        evaluated: tells how often the network was evaluated so far.

    Returns:
        facts for the results file (``how``, ``largest_difference``, ...), seconds that the call took, and
        how often it evaluated the network.

    Raises:
        InexactError: with the first element that differs.
    """
    task = setting.task(source, case, record=case.op == "sample")
    started = time.perf_counter()
    outcome = run(source, case, task)
    if setting.device.startswith("cuda"):
        torch.cuda.synchronize(setting.device)
    seconds, calls = time.perf_counter() - started, evaluated()
    proof = evidence(source, twin, outcome.f, task)
    _answers_the_task(source, case, task, outcome)
    facts = _parameters_near(proof, case.dtype)
    if outcome.accepted:
        facts["accepted"] = sum(outcome.accepted) / len(outcome.accepted)
    if case.op == "sample" and case.exactness == "pointwise":
        facts |= _draws(source, proof, outcome, task, case.dtype)
    elif case.op == "sample":
        facts |= _typical(source, proof, outcome)
    elif source.feeds == "z":
        facts |= _residual(source, proof, outcome, outcome.f.unsqueeze(-1), case.dtype)
    facts |= _log_probs(source, proof, outcome, case.dtype)
    return facts, seconds, calls


def _answers_the_task(source: Source, case: CaseKey, task: Task, outcome: Outcome) -> None:
    """That the method did what it was asked, on what it was given."""
    if case.op == "score":
        if outcome.log_prob is None:
            raise InexactError("scored without a log-probability")
        if not torch.equal(outcome.x, task.x):  # type: ignore[arg-type]
            raise InexactError("scored another event than the one given")
    elif outcome.params is None:
        raise InexactError("did not record the parameters it drew from")
    if source.feeds == "x" and not torch.equal(outcome.f, outcome.x):
        raise InexactError("fed the network another event than it returned")
    if source.feeds == "z" and task.noise is not None and not torch.equal(outcome.f, task.noise.squeeze(-1)):
        raise InexactError("fed the network other noise than it was given")


def _parameters_near(proof: Evidence, dtype: str) -> dict[str, Any]:
    if not proof.params.isfinite().all():
        raise InexactError("the model's parameters are not finite", first_difference=_first(~proof.params.isfinite()))
    worst = float(proof.own_error.max()) / (1 + float(proof.exact.abs().max()))
    if not worst <= PARAMETERS[dtype]:
        raise InexactError(f"parameters differ from float64's by {worst:.3g}, allowed {PARAMETERS[dtype]:g}")
    return {"parameters_from_float64": worst}


def _draws(source: Source, proof: Evidence, outcome: Outcome, task: Task, dtype: str) -> dict[str, Any]:
    assert task.noise is not None
    again = source.distribution.draw(proof.params, task.noise)
    if not source.distribution.finite:
        return _residual(source, proof, outcome, task.noise, dtype)
    wrong = again != outcome.x
    near, predicted = _near_ties(source, proof, task.noise, dtype)
    bad = wrong & ~near
    if bad.any():
        row, at = _first(bad)
        raise InexactError(
            f"element {at} of row {row} is {int(outcome.x[row, at])}, but the parameters that its own prefix "
            f"implies draw {int(again[row, at])}",
            first_difference=[row, at],
            differing=int(bad.sum()),
        )
    return {
        "how": "x = draw(forward(x), noise), element by element",
        "elements": again.numel(),
        **_excused(wrong, near, predicted),
    }


def _typical(source: Source, proof: Evidence, outcome: Outcome) -> dict[str, Any]:
    """That draws of a categorical law are as probable as its draws are, where no draw of its own is known.

    Whatever was drawn before, the log-probability of the next element has a known mean (minus the entropy)
    and variance, so the sum over all elements is a martingale: standardised it is about normal.
    """
    if not isinstance(source.distribution, Categorical):
        raise InexactError(f"draws by law alone of a {type(source.distribution).__name__} cannot be verified")
    log_p = proof.exact.log_softmax(-1)
    p = log_p.exp()
    mean = (p * log_p).sum(-1)
    variance = (p * (log_p - mean.unsqueeze(-1)) ** 2).sum(-1)
    drawn = log_p.gather(-1, outcome.x.unsqueeze(-1)).squeeze(-1)
    deviation = float((drawn - mean).sum() / variance.sum().sqrt().clamp_min(1e-12))
    if not abs(deviation) <= SURPRISE:
        raise InexactError(
            f"draws are {deviation:.3g} standard deviations off in log-probability, allowed {SURPRISE:g}"
        )
    return {"how": "log-probability of all draws against the law's entropy", "deviation": deviation}


def _near_ties(source: Source, proof: Evidence, noise: Tensor, dtype: str) -> tuple[Tensor, float]:
    """Where (B, N) rounding may decide a draw otherwise, and how often it should at most."""
    error = proof.error.clamp_min(float(proof.error.mean()))
    floor = 8 * torch.finfo(DTYPES[dtype]).eps * proof.exact.abs().amax(-1)
    error = torch.maximum(error, floor)
    margin = source.distribution.margin(proof.exact, noise.double())
    # two roundings, each off by about the error, flip a draw when they differ by half its margin
    expected = float(torch.erfc(margin / (2 * 2**0.5 * error)).sum())
    return margin < 4 * error, expected + 3 * expected**0.5 + 1


def _excused(wrong: Tensor, near: Tensor, predicted: float) -> dict[str, Any]:
    excused = int((wrong & near).sum())
    if excused > predicted:
        raise InexactError(f"{excused} draws differ at near ties; margins predict at most {predicted:.0f}")
    return {"near_ties": int(near.sum()), "excused_ties": excused}


def _residual(source: Source, proof: Evidence, outcome: Outcome, noise: Tensor, dtype: str) -> dict[str, Any]:
    """|x - draw(forward(f), noise)| in units of the noise: over how far a unit of it moves the element."""
    law, x, z = source.distribution, outcome.x.double(), noise.double()
    scale = (law.draw(proof.exact, z + 1) - law.draw(proof.exact, z)).abs()
    difference = (x - law.draw(proof.exact, z)).abs() / scale
    size = z.abs().amax(-1)
    eps = torch.finfo(DTYPES[dtype]).eps
    allowed = EXACT * (1 + size + x.abs() / scale)
    near, predicted = _near_ties(source, proof, noise, dtype)  # of which component a mixture draws from
    if dtype != "float64":
        rounding = eps * (size + x.abs() / scale)
        allowed = allowed + 4 * float(proof.error.max()) * (1 / scale + size) + 4 * rounding
        drawn = law.draw(proof.exact, z)
        own = (
            torch.maximum(
                (law.draw(proof.params.double(), z) - drawn).abs(),
                (law.draw(proof.plain.double(), z) - drawn).abs(),
            )
            / scale
        )
        usual = float(difference[~near].mean())
        allowed_usual = float((USUAL * own + rounding / 2)[~near].mean())
        if not near.all() and not usual <= allowed_usual:
            raise InexactError(
                f"elements miss x = f(z) by {usual:.3g} of the noise's units on average, allowed {allowed_usual:.3g}"
            )
    wrong = ~(difference <= allowed)
    bad = wrong & ~near
    if bad.any():
        row, at = _first(bad)
        raise InexactError(
            f"element {at} of row {row} misses x = f(z) by {float(difference[row, at]):.3g} of the noise's "
            f"units, allowed {float(allowed[row, at]):.3g}",
            first_difference=[row, at],
            differing=int(bad.sum()),
        )
    return {
        "how": "x = draw(forward(f), noise), element by element",
        "residual": float(difference[~near].max()) if not near.all() else None,
        **_excused(wrong, near, predicted),
        "residual_allowed": float(allowed.max()),
    }


def _log_probs(source: Source, proof: Evidence, outcome: Outcome, dtype: str) -> dict[str, Any]:
    """The method's log-probabilities against forward's, on the scale of the dtype's own error."""
    law = source.distribution
    exact = law.log_prob(proof.exact, as_float64(outcome.x))
    own = law.log_prob(proof.params, outcome.x).double()
    found = outcome.log_prob
    if found is None:
        assert outcome.params is not None
        found = law.log_prob(outcome.params, outcome.x)
    if found.shape != own.shape:
        raise InexactError(f"log-probabilities are {tuple(found.shape)}, elements {tuple(own.shape)}")
    mine = found.double()
    difference = (mine - own).abs()
    off = (own - exact).abs()
    if proof.plain is not proof.params:
        off = torch.maximum(off, (law.log_prob(proof.plain, outcome.x).double() - exact).abs())
    rounding = float(off.max())
    scale = 1 + float(exact.abs().max())
    allowed = EXACT * scale if dtype == "float64" else 8 * rounding + 8 * torch.finfo(DTYPES[dtype]).eps * scale
    usual = float(difference.mean())
    # the second term: a handful of elements may all be rounded well by luck
    few = 4 * torch.finfo(DTYPES[dtype]).eps * scale / difference.numel()
    allowed_usual = TYPICAL * float(off.mean()) + few
    if dtype != "float64" and not usual <= allowed_usual:
        raise InexactError(
            f"log-probabilities differ from forward's by {usual:.3g} on average, allowed {allowed_usual:.3g}"
        )
    worst = float(difference.max())
    if not worst <= allowed:
        row, at = _first(~(difference <= allowed))
        raise InexactError(
            f"log-probability of element {at} of row {row} differs from forward's by "
            f"{float(difference[row, at]):.3g}, allowed {allowed:.3g}",
            first_difference=[row, at],
        )
    return {"largest_difference": worst, "tolerance": allowed}


def _first(mask: Tensor) -> list[int]:
    flat = mask.flatten(2).any(-1) if mask.dim() > 2 else mask
    at = flat.any(0).nonzero()[0, 0]
    return [int(flat[:, at].nonzero()[0, 0]), int(at)]


def verify_model(setting: Setting, source: Source, twin: Source, case: CaseKey) -> dict[str, Any]:
    """Probes a model at one N and batch: nothing leaks, everything that should matter does, and
    ``forward`` equals ``extend``.

    Raises:
        InexactError: with what was broken.
    """
    probe = setting.task(source, case)
    context = dict(probe.context)
    f = probe.x if source.feeds == "x" and probe.x is not None else None
    if f is None:
        f = _feed(setting, source, case)
    code = source.encode(context, case.n)
    params = source(f, code)
    bounds = source.schedule(case.n)
    groups = len(bounds) - 1
    middle = groups // 2  # and its neighbours: sub-pixels differ by colour
    for g in sorted({0, *(min(middle + i, groups - 1) for i in range(3)), groups - 1}):
        changed = f.clone()
        changed[:, bounds[g] :] = _other(source, changed[:, bounds[g] :])
        after = source(changed, code)
        seen = bounds[g + 1]
        if not torch.equal(after[:, :seen], params[:, :seen]):
            row, at = _first(after[:, :seen] != params[:, :seen])
            raise InexactError(
                f"forward leaks: parameters of element {at} change with elements from {bounds[g]} on",
                first_difference=[row, at],
            )
        if seen < case.n and torch.equal(after[:, seen:], params[:, seen:]):
            raise InexactError(f"elements from {bounds[g]} on change no later parameter")
    for name, value in context.items():
        other = value.roll(1, dims=-1) + 1 if value.is_floating_point() else (value + 1) % source.alphabets[name]
        if torch.equal(source(f, source.encode({**context, name: other}, case.n)), params):
            raise InexactError(f"the model ignores its conditioning '{name}'")
    worst = _forward_equals_extend(twin, *_stirred(twin, as_float64(f), as_float64(context)), case)
    _rows_do_not_mix(twin, as_float64(f), as_float64(context), case)
    return {"forward_against_extend": worst, "leak_probes": min(groups, 5)}


def _feed(setting: Setting, source: Source, case: CaseKey) -> Tensor:
    """Real events for a network that reads them, noise for one that reads noise."""
    if source.feeds == "z":
        noise = setting.task(source, _as(case, "sample", "parallel")).noise
        assert noise is not None
        return noise.squeeze(-1)
    x = setting.task(source, _as(case, "score", "parallel")).x
    assert x is not None
    return x


def _as(case: CaseKey, op: str, method: str) -> CaseKey:
    return msgspec.structs.replace(case, op=op, method=method)


def _other(source: Source, x: Tensor) -> Tensor:
    if source.feeds == "x" and source.distribution.finite:
        levels = getattr(source.distribution, "levels", 2)
        return (x + max(levels // 2, 1)) % levels
    return x + 1


def _stirred(twin: Source, f: Tensor, context: Any) -> tuple[Tensor, Any]:
    """A feed and conditioning that never rest: real ones may be silent, and silence hides a stale past."""
    g = torch.Generator().manual_seed(0)
    if twin.feeds == "x" and twin.distribution.finite:
        levels = getattr(twin.distribution, "levels", 2)
        f = torch.randint(levels, f.shape, generator=g, dtype=f.dtype).to(f.device)
    stirred = {}
    for name, value in context.items():
        noise = torch.randn(value.shape, generator=g, dtype=torch.float64).to(value.device)
        stirred[name] = value + noise if value.is_floating_point() else value
    return f, stirred


def _forward_equals_extend(twin: Source, f: Tensor, context: Any, case: CaseKey) -> float:
    code = twin.encode(context, case.n)
    bounds = twin.schedule(case.n)
    groups = len(bounds) - 1
    first = max(groups - POSITIONS, 0)
    state = twin.start(case.batch, case.n, code)

    def past(g: int) -> Tensor:
        """The feed before group ``g``, and other elements from there on: ``extend`` may not read them."""
        return torch.cat([f[:, : bounds[g]], _other(twin, f[:, bounds[g] :])], dim=1)

    if first:
        _, state = twin.extend(state, past(first - 1), 0, first)
    steps = []
    for g in range(first, groups):
        params, state = twin.extend(state, past(g), g, g + 1)
        steps.append(params)
    expected = twin(f, code)[:, bounds[first] :]
    difference = (torch.cat(steps, dim=1) - expected).abs().amax(-1)
    allowed = EXACT * (1 + float(expected.abs().max()))
    worst = float(difference.max())
    if not worst <= allowed:
        row, at = _first(~(difference <= allowed))
        raise InexactError(
            f"forward and extend differ by {worst:.3g} in float64 from element {bounds[first] + at} on, "
            f"allowed {allowed:.3g}",
            first_difference=[row, bounds[first] + at],
        )
    return worst


def _rows_do_not_mix(twin: Source, f: Tensor, context: Any, case: CaseKey) -> None:
    if case.batch == 1:
        return
    whole = twin(f, twin.encode(context, case.n))[:1]
    first = {name: value[:1] for name, value in context.items()}
    alone = twin(f[:1], twin.encode(first, case.n))
    if not (whole - alone).abs().max() <= EXACT * (1 + alone.abs().max()):
        raise InexactError("a row of a batch changes with the other rows")
