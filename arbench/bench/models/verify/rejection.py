"""Verification of methods that promise only the law: what they drew is judged by the law, and by what they say they do.

Rejection sampling is a function of both models' laws, the noise and the uniforms, whatever its windows were. So one
parallel forward of the model and one of its draft check every element, each given its own prefix.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arbench.bench.case import CaseKey
from arbench.bench.dtypes import DTYPES
from arbench.bench.inexact import InexactError
from arbench.bench.models.evidence import Evidence, evidence, first_difference
from arbench.bench.models.judge import Judge
from arbench.bench.models.oracle import judged
from arbench.bench.models.setup import method_of
from arbench.methods import Outcome, Task
from arbench.models import Context, Source

DISTANCE = 3.5
"""Largest distance of distribution functions, times the root of the number of elements: a probability below 1e-10."""

ELEMENTS = 64
"""Number of elements of the run whose laws rejection sampling is tried on, beside the run's own draws."""
ROWS = 32
"""Number of draws from each of them."""
NUMBERS = 2**17
"""Number of noise values beyond which there are fewer rows, and then fewer elements."""
FEWEST = 16
"""Smallest number of elements."""


def transformed(judge: Judge, proof: Evidence, outcome: Outcome) -> dict[str, Any]:
    """Check that draws are uniform once their own law has transformed them.

    Whatever was drawn before, F(x - 1) + v P(x) with v uniform is uniform if x follows P, of which F is the
    distribution function; so all elements are independent uniforms. Levels are ordered by number and by probability.
    Among n elements, laws whose distribution functions are 5 / sqrt(n) apart on average are told apart with
    probability above 0.99.

    Raises:
        InexactError: they are not uniform.
    """
    log_p, x = judge.levels(proof.exact), outcome.x.unsqueeze(-1)
    v = torch.from_numpy(np.random.default_rng(0).random(outcome.x.shape)).to(log_p.device)
    p = log_p.exp()
    own = p.gather(-1, x).squeeze(-1)
    above = torch.where(p > own.unsqueeze(-1), p, 0).sum(-1)
    level = torch.arange(p.shape[-1], device=p.device)
    equals = torch.where((p == own.unsqueeze(-1)) & (level < x), p, 0).sum(-1)
    below = torch.where(level < x, p, 0).sum(-1)
    most = 0.0
    for start, order in ((below, "number"), (above + equals, "probability")):
        u = (start + v * own).flatten().sort().values
        count = len(u)
        steps = torch.arange(count + 1, dtype=u.dtype, device=u.device) / count
        distance = float(torch.maximum(steps[1:] - u, u - steps[:-1]).max())
        allowed = DISTANCE / count**0.5 + 2 * float(proof.error.mean())
        if not distance <= allowed:
            raise InexactError(
                f"draws do not follow the law: transformed by it, levels by {order}, their distribution function is "
                f"off by {distance:.3g}, allowed {allowed:.3g}"
            )
        most = max(most, distance)
    return {"distance": most}


class Tables(Source):
    """A model that looks its parameters up in a table (N, P), by place and last element: methods without a network."""

    def __init__(self, source: Source, params: Tensor, draft: Source | None = None) -> None:
        super().__init__()
        self.distribution, self.params = source.distribution, params
        object.__setattr__(self, "draft", draft)  # as ``Chosen.build`` sets it

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        """Return nothing: there are no events."""
        raise NotImplementedError

    def start(self, batch: int, n: int, code: Any) -> int:
        """Return the batch size."""
        return batch

    def extend(self, state: int, f: Tensor, g0: int, g1: int) -> tuple[Tensor, int]:
        """Return the parameters of elements g0 .. g1-1: those of the table as many places on as the last element is."""
        before = torch.nn.functional.pad(f, (1, 0))[:, g0:g1]
        return self.params[(before + torch.arange(g0, g1, device=f.device)) % len(self.params)], state

    def forward(self, f: Tensor, code: Any) -> Tensor:
        """Return all parameters."""
        return self.extend(len(f), f, 0, f.shape[1])[0]

    def rewind(self, state: int, mark: Any, f: Tensor, g: int) -> int:
        """Return the state."""
        return state


def verify_rejection(
    source: Source, twin: Source, judge: Judge, proof: Evidence, outcome: Outcome, task: Task, case: CaseKey, seed: int
) -> dict[str, Any]:
    """Check each element against the rule of rejection sampling under the same noise and uniforms.

    Where model and draft are much alike, a run rejects few guesses. So the method also draws ``ROWS`` times from the
    laws that both give to ``ELEMENTS`` of the run's elements: a rule that goes wrong once in 400 elements is found
    with probability above 0.99 where an element has up to 64 levels.

    Raises:
        InexactError: an element is another than the rule gives; names the first.
    """
    assert source.draft is not None
    assert twin.draft is not None
    guesses = evidence(source.draft, twin.draft, outcome.f, task)
    off = [2 * _error(one, case.dtype) for one in (proof, guesses)]
    lead = judge.margin(guesses.exact, _noise(task).double())
    facts = _by_the_rule(judge, proof.params, guesses.params, outcome.x, task, off, lead)
    flat = [one.params.flatten(0, 1) for one in (proof, guesses)]
    width = source.distribution.noise_width
    count = min(max(NUMBERS // (2 * width), FEWEST), ELEMENTS, len(flat[0]))
    places = torch.linspace(0, len(flat[0]) - 1, count).long()
    draft = Tables(source.draft, flat[1][places])
    tables = Tables(source, flat[0][places], draft)
    n, rows = count, range(min(max(NUMBERS // (count * width), 2), ROWS))
    noise = source.distribution.noise(seed + 1, rows, range(n), tables.params.dtype, tables.params.device)
    chance = torch.from_numpy(np.random.default_rng(seed).random((len(rows), n, 1 + width))).to(noise.device)
    other = Task(n, {}, noise, chance=chance.clamp_min(2.0**-53))
    x = method_of(case, source).run(tables, other).x
    p, q = tables(x, None), draft(x, None)
    eps = 8 * torch.finfo(p.dtype).eps
    off = [eps * (1 + one.double().abs().amax(-1)) for one in (p, q)]
    tried = _by_the_rule(judge, p, q, x, other, off, judge.margin(q, noise))
    return facts | {"rejection_tried": tried["elements"]}


def _noise(task: Task) -> Tensor:
    assert task.noise is not None
    return task.noise


def _by_the_rule(
    judge: Judge, p: Tensor, q: Tensor, x: Tensor, task: Task, off: list[Tensor], lead: Tensor
) -> dict[str, Any]:
    """Check elements (B, N) drawn with the target's parameters p and the draft's q, each off by no more than ``off``.

    Args:
        judge: judge of the law.
        p: parameters of the target.
        q: parameters of the draft.
        x: what was drawn.
        task: the noise and uniforms.
        off: errors of log-probabilities (B, N) of the target and the draft.
        lead: margin of the draft's guesses.
    """
    assert task.chance is not None
    guess, log_p, log_q = judge.draw(q, _noise(task)), judge.levels(p), judge.levels(q)
    eps = torch.finfo(p.dtype).eps
    size_p, size_q = (eps * (1 + one.gather(-1, guess.unsqueeze(-1)).squeeze(-1).abs()) for one in (log_p, log_q))
    verdict = judged(guess, log_p, log_q, task.chance, off[0] + size_p, off[1] + size_q)
    doubt = torch.maximum(off[1], eps * (q.double().abs().amax(-1) + _noise(task).double().abs().amax(-1)))
    sure = verdict.sure & (lead >= 2 * doubt)
    wrong = verdict.x != x
    bad = wrong & sure
    if bad.any():
        row, at = first_difference(bad)
        done = "is kept" if verdict.kept[row, at] else "is not kept"
        raise InexactError(
            f"element {at} of row {row} is {int(x[row, at])}, but the draft's guess {int(guess[row, at])} "
            f"{done} by rejection sampling, which gives {int(verdict.x[row, at])}",
            first_difference=[row, at],
            differing=int(bad.sum()),
        )
    likely = torch.erfc(torch.minimum(2 * lead / doubt, verdict.closeness) / (2 * 2**0.5))
    expected = float(torch.where(sure, 0, likely.clamp_min(0.5)).sum())
    predicted = expected + 3 * expected**0.5 + 1
    if (excused := int(wrong.sum())) > predicted:
        raise InexactError(f"{excused} draws differ at near ties; margins predict at most {predicted:.0f}")
    return {
        "how": "x = rejection(forward, draft's forward, noise, uniforms), element by element",
        "elements": wrong.numel(),
        "near_ties": int((~sure).sum()),
        "excused_ties": excused,
    }


def _error(proof: Evidence, dtype: str) -> Tensor:
    """Return the error of parameters per element, at least some roundings of the largest."""
    error = proof.error.clamp_min(float(proof.error.mean()))
    return torch.maximum(error, 8 * torch.finfo(DTYPES[dtype]).eps * proof.exact.abs().amax(-1))
