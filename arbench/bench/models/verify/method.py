"""Verification of a method: no case is timed before its answer agrees with the model's own definition.

The output of a pointwise exact sampler is the only fixed point of x -> draw(forward(x), noise), so one parallel
forward checks it at any N, each element given its own prefix. Equal draws alone are weak evidence, so the
log-probabilities of what was drawn are compared too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from arbench.bench.case import CaseKey
from arbench.bench.dtypes import DTYPES, as_float64
from arbench.bench.inexact import InexactError, naming
from arbench.bench.models.evidence import EXACT, Evidence, check_finite, evidence, first_difference
from arbench.bench.models.judge import Judge, judge_of
from arbench.bench.models.outcome import digest, has_the_numbers, has_the_shape, has_the_type
from arbench.bench.models.setup import ModelSetup, method_of
from arbench.bench.models.streaming import Handed
from arbench.bench.models.verify.law import ROUNDINGS, verify_draws, verify_law
from arbench.bench.models.verify.noise import verify_noise
from arbench.bench.models.verify.outside import DRAWS_ALONE, Untouched, draw_more
from arbench.bench.models.verify.rejection import transformed, verify_rejection
from arbench.bench.models.verify.stack.outcome import verify_inversion, verify_stacked, verify_tails
from arbench.distributions import Categorical
from arbench.methods import GUESSED_BY_DRAFT, Outcome, Task
from arbench.models import Source
from arbench.models.layers.stacks import Stack

PARAMETERS = {"float64": 1e-9, "float32": 1e-3, "float16": 0.1, "bfloat16": 0.5}
"""Largest difference of parameters from float64's, over 1 + the largest of them: deep stacks add up rounding errors."""
PARAMETER_ROUNDINGS = 16.0
"""Largest difference of parameters from float64's, over what rounding every result to the dtype changes of them.

Half precision is 8,192 times coarser than float32, and bfloat16 65,536 times."""
TYPICAL = 4.0
"""Largest average difference of log-probabilities from forward's, over the average error of the dtype itself."""
USUAL = 4.0
"""Largest average difference between real elements and f(z), over the error of the dtype itself; x rounds on top.

Native code, which adds one term after the other, has 2.2 to 2.7 times the error of PyTorch's sums in a WaveNet; half
precision has thousands of times."""
RANDOM_DRAFT = "the weights of the draft are random, beside trained ones of the model: few of its guesses are kept"
"""Caveat of methods that such a draft guesses for."""
SURPRISE = 6.0
"""Largest deviation of draws in log-probability, in standard deviations, for methods that promise only the law."""


def verify_method(
    setup: ModelSetup,
    source: Source,
    twin: Source,
    case: CaseKey,
    evaluated: Callable[[], int] = lambda: 0,
) -> tuple[dict[str, Any], float, int]:
    """Run a case once and check its outcome.

    Args:
        setup: provides the input.
        source: the model.
        twin: the model in float64.
        case: what to run.
        evaluated: returns how often the network was evaluated so far.

    Returns:
        Facts for the results file (``how``, ``largest_difference``, ...), the seconds that the call took, and how
        often it evaluated the network.

    Raises:
        InexactError: the outcome is wrong; names the first element that differs.
    """
    method = method_of(case, source)
    task = setup.task(source, case, record=case.op == "sample" and method.records)
    with naming("method"):
        handed = Handed()
        outcome, seconds = called(setup, source, case, task if case.chunk is None else replace(task, made=handed.take))
        calls = evaluated()
        facts, proof = verify_outcome(setup, source, twin, case, task, outcome)
        if case.chunk is not None:
            handed.check(source, case.chunk, outcome.x)
        if case.op == "sample" and not method.records:

            def again(other: Task) -> None:
                verify_outcome(setup, source, twin, case, other, called(setup, source, case, other)[0])

            facts |= {"recorded": False, "how": facts["how"] + DRAWS_ALONE}
            facts["elements"] = outcome.x.numel() + draw_more(source, task, setup.seed, again)
        if isinstance(twin, Stack):
            facts |= verify_inversion(method, twin, case, task) | verify_tails(method, twin, case, task, setup.seed)
    judge = judge_of(source.distribution)
    if task.noise is not None:
        with naming("noise"):
            facts |= verify_noise(source, judge, task, setup.seed)
    with naming("law"):
        facts |= verify_law(source, judge, proof, outcome, setup.seed)
        if task.noise is not None:
            facts |= verify_draws(source, judge, proof, case.dtype, setup.seed)
    if method.rounds not in (None, DTYPES[case.dtype]):
        facts["rounded_weights"] = str(method.rounds).removeprefix("torch.")
    remark = method.remark() if callable(method.remark) else method.remark
    if setup.random_draft and case.method in GUESSED_BY_DRAFT:
        remark = RANDOM_DRAFT
    return facts | {"outcome": digest(outcome)} | ({"remark": remark} if remark else {}), seconds, calls


def called(setup: ModelSetup, source: Source, case: CaseKey, task: Task) -> tuple[Outcome, float]:
    """Make one call of a case; return its outcome and its seconds.

    Raises:
        InexactError: a method from outside changed its input or the model.
    """
    method = method_of(case, source)
    untouched = Untouched(source, task) if method.outside else None
    started = time.perf_counter()
    outcome = method.run(source, task)
    if setup.device.startswith("cuda"):
        torch.cuda.synchronize(setup.device)
    seconds = time.perf_counter() - started
    if untouched is not None:
        untouched.check()
    return outcome, seconds


def verify_outcome(
    setup: ModelSetup, source: Source, twin: Source, case: CaseKey, task: Task, outcome: Outcome
) -> tuple[dict[str, Any], Evidence]:
    """Check the outcome of a call of a case.

    Args:
        setup: provides the seed.
        source: the model.
        twin: the model in float64.
        case: what was run.
        task: its input; a sampler that recorded no parameters has none to compare.
        outcome: what the call returned.

    Returns:
        Facts for the results file, and the parameters that the outcome's feed implies.

    Raises:
        InexactError: the outcome is wrong; names the first element that differs.
    """
    if isinstance(source, Stack) and isinstance(twin, Stack):
        return verify_stacked(source, twin, case, task, outcome)
    has_the_shape(case, outcome)
    has_the_type(source, outcome)
    has_the_numbers(outcome)
    _answers_the_task(source, case, task, outcome)
    proof = evidence(source, twin, outcome.f, task)
    facts = _parameters_near(proof, case.dtype)
    if outcome.step_bytes is not None:
        facts |= {"step_bytes": outcome.step_bytes, "exchanges": outcome.exchanges}
    if outcome.evaluations is not None:
        facts["nfe"] = outcome.evaluations
    if outcome.accepted:
        facts["accepted"] = sum(outcome.accepted) / len(outcome.accepted)
    judge = judge_of(source.distribution)
    if case.op == "sample" and case.exactness == "pointwise":
        facts |= _draws(source, judge, proof, outcome, task, case.dtype)
    elif case.op == "sample":
        facts |= _typical(source, judge, proof, outcome)
        if case.method == "rejection":
            facts |= verify_rejection(source, twin, judge, proof, outcome, task, case, setup.seed)
    elif source.feeds == "z":
        facts |= _residual(judge, proof, outcome, outcome.f.unsqueeze(-1), case.dtype)
    if case.op == "score" or task.record:
        facts |= _log_probs(judge, proof, outcome, case.dtype)
    return facts, proof


def _answers_the_task(source: Source, case: CaseKey, task: Task, outcome: Outcome) -> None:
    """Check that the method did its task on the given input."""
    if case.op == "score":
        if outcome.log_prob is None:
            raise InexactError("scored without a log-probability")
        if not torch.equal(outcome.x, task.x):  # type: ignore[arg-type]
            raise InexactError("scored another event than the one given")
    elif task.record and outcome.params is None:
        raise InexactError("did not record the parameters it drew from")
    if source.feeds == "x" and not torch.equal(outcome.f, outcome.x):
        raise InexactError("fed the network another event than it returned")
    if source.feeds == "z" and task.noise is not None and not torch.equal(outcome.f, task.noise.squeeze(-1)):
        raise InexactError("fed the network other noise than it was given")


def _parameters_near(proof: Evidence, dtype: str) -> dict[str, Any]:
    check_finite(proof.params)
    scale = 1 + float(proof.exact.abs().max())
    worst, allowed = float(proof.own_error.max()) / scale, PARAMETERS[dtype]
    if dtype != "float64":
        rounding = PARAMETER_ROUNDINGS * (proof.rounding / scale + torch.finfo(DTYPES[dtype]).eps)
        allowed = min(allowed, rounding) if math.isfinite(rounding) else allowed
    if not worst <= allowed:
        raise InexactError(f"parameters differ from float64's by {worst:.3g}, allowed {allowed:.3g}")
    return {"parameters_from_float64": worst, "parameters_allowed": allowed}


def _draws(source: Source, judge: Judge, proof: Evidence, outcome: Outcome, task: Task, dtype: str) -> dict[str, Any]:
    assert task.noise is not None
    if not source.distribution.finite:
        return _residual(judge, proof, outcome, task.noise, dtype)
    again = judge.draw(proof.params, task.noise)
    wrong = again != outcome.x
    near, predicted = _near_ties(judge, proof, task.noise, dtype)
    bad = wrong & ~near
    if bad.any():
        row, at = first_difference(bad)
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


def _typical(source: Source, judge: Judge, proof: Evidence, outcome: Outcome) -> dict[str, Any]:
    """Check that draws are as probable as draws of a categorical law must be, where the exact draws are not known.

    Whatever was drawn before, the log-probability of the next element has a known mean (minus the entropy)
    and variance, so the sum over all elements is a martingale: standardised, it is about normal.
    """
    if not isinstance(source.distribution, Categorical):
        raise InexactError(
            f"a method that promises only the law of a {type(source.distribution).__name__} cannot be verified"
        )
    log_p = judge.levels(proof.exact)
    p = log_p.exp()
    mean = (p * log_p).sum(-1)
    variance = (p * (log_p - mean.unsqueeze(-1)) ** 2).sum(-1)
    drawn = log_p.gather(-1, outcome.x.unsqueeze(-1)).squeeze(-1)
    deviation = float((drawn - mean).sum() / variance.sum().sqrt().clamp_min(1e-12))
    if not abs(deviation) <= SURPRISE:
        raise InexactError(
            f"draws are {deviation:.3g} standard deviations off in log-probability, allowed {SURPRISE:g}"
        )
    facts = {"how": "log-probability of all draws against the law's entropy", "deviation": deviation}
    return facts | transformed(judge, proof, outcome)


def _near_ties(judge: Judge, proof: Evidence, noise: Tensor, dtype: str) -> tuple[Tensor, float]:
    """Return where (B, N) rounding may change a draw, and how often it should at most."""
    error = proof.error.clamp_min(float(proof.error.mean()))
    size = proof.exact.abs().amax(-1)
    summed = (size + noise.double().abs().amax(-1)) / 2  # of a parameter and its noise
    floor = torch.finfo(DTYPES[dtype]).eps * torch.maximum(8 * size, summed)
    error = torch.maximum(error, floor)
    margin = judge.margin(proof.exact, noise.double())
    # two rounded values, each off by about the error, flip a draw when they differ by half its margin
    expected = float(torch.erfc(margin / (2 * 2**0.5 * error)).sum())
    return margin < 4 * error, expected + 3 * expected**0.5 + 1


def _excused(wrong: Tensor, near: Tensor, predicted: float) -> dict[str, Any]:
    excused = int((wrong & near).sum())
    if excused > predicted:
        raise InexactError(f"{excused} draws differ at near ties; margins predict at most {predicted:.0f}")
    return {"near_ties": int(near.sum()), "excused_ties": excused}


def _residual(judge: Judge, proof: Evidence, outcome: Outcome, noise: Tensor, dtype: str) -> dict[str, Any]:
    """Check |x - draw(forward(f), noise)| in noise units: the distance that one unit of noise moves an element."""
    law, x, z = judge, outcome.x.double(), noise.double()
    scale = (law.draw(proof.exact, z + 1) - law.draw(proof.exact, z)).abs()
    difference = (x - law.draw(proof.exact, z)).abs() / scale
    size = z.abs().amax(-1)
    eps = torch.finfo(DTYPES[dtype]).eps
    allowed = EXACT * (1 + size + x.abs() / scale)
    near, predicted = _near_ties(judge, proof, noise, dtype)  # which component a mixture draws from
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
                f"elements differ from f(z) by {usual:.3g} noise units on average, allowed {allowed_usual:.3g}"
            )
    wrong = ~(difference <= allowed)
    bad = wrong & ~near
    if bad.any():
        row, at = first_difference(bad)
        raise InexactError(
            f"element {at} of row {row} differs from f(z) by {float(difference[row, at]):.3g} noise units, "
            f"allowed {float(allowed[row, at]):.3g}",
            first_difference=[row, at],
            differing=int(bad.sum()),
        )
    return {
        "how": "x = draw(forward(f), noise), element by element",
        "residual": float(difference[~near].max()) if not near.all() else None,
        **_excused(wrong, near, predicted),
        "residual_allowed": float(allowed.max()),
    }


def _log_probs(judge: Judge, proof: Evidence, outcome: Outcome, dtype: str) -> dict[str, Any]:
    """Check the method's log-probabilities against forward's, on the scale of the dtype's own error."""
    exact = judge.log_prob(proof.exact, as_float64(outcome.x))
    own = judge.log_prob(proof.params, outcome.x)
    found, law_error = outcome.log_prob, torch.zeros(())
    if found is None:
        assert outcome.params is not None
        if not isinstance(outcome.params, Tensor):
            raise InexactError(f"recorded parameters of type {type(outcome.params).__name__}, expected a Tensor")
        if outcome.params.shape != proof.params.shape:
            shapes = tuple(outcome.params.shape), tuple(proof.params.shape)
            raise InexactError("recorded parameters of shape {}, expected {}".format(*shapes))
        found = judge.log_prob(outcome.params, outcome.x)
    elif found.shape == own.shape:
        law_error = judge.rounding(proof.params, outcome.x, found.dtype, own)
    if found.shape != own.shape:
        raise InexactError(f"log-probabilities are {tuple(found.shape)}, elements {tuple(own.shape)}")
    mine = found.double()
    difference = (mine - own).abs()
    off = (own - exact).abs()
    if proof.plain is not proof.params:
        off = torch.maximum(off, (judge.log_prob(proof.plain, outcome.x) - exact).abs())
    rounding = float(off.max())
    scale = 1 + float(exact.abs().max())
    allowed = EXACT * scale
    if dtype != "float64":
        allowed = 8 * rounding + 8 * torch.finfo(DTYPES[dtype]).eps * scale + ROUNDINGS * float(law_error.max())
    usual = float(difference.mean())
    # the second term: a handful of elements may all have small rounding errors by chance
    few = 4 * torch.finfo(DTYPES[dtype]).eps * scale / difference.numel()
    allowed_usual = TYPICAL * float(off.mean()) + few + float(law_error.mean())
    if dtype != "float64" and not usual <= allowed_usual:
        raise InexactError(
            f"log-probabilities differ from forward's by {usual:.3g} on average, allowed {allowed_usual:.3g}"
        )
    worst = float(difference.max())
    if not worst <= allowed:
        row, at = first_difference(~(difference <= allowed))
        raise InexactError(
            f"log-probability of element {at} of row {row} differs from forward's by "
            f"{float(difference[row, at]):.3g}, allowed {allowed:.3g}",
            first_difference=[row, at],
        )
    return {"largest_difference": worst, "tolerance": allowed}
