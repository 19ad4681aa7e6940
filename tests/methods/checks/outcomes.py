"""Checks of a method's outcome: right, the same for a row alone, and independent of earlier draws."""

from __future__ import annotations

from dataclasses import replace

import torch

from arbench.methods import Method
from arbench.models import Source

from .sources import EXACT, MARGIN, by, implied, job, length, ran


def agrees(source: Source, method: Method, n: int) -> None:
    """Draws are those of the reference method; where real, x = draw(f) holds element by element."""
    task, found = ran(source, method, n, range(3))
    law, params = source.distribution, implied(source, found, task)
    if method.op == "score":
        assert torch.equal(found.x, task.x)  # type: ignore[arg-type]
    if method.exactness == "distribution":
        assert torch.equal(found.x, found.f)
        return  # whose law is another check
    if not law.finite:
        z = found.f.unsqueeze(-1) if source.feeds == "z" else task.noise
        if z is not None:
            assert law.margin(params, z).min() >= MARGIN
            residual = (found.x - law.draw(params, z)).abs()
            assert (residual <= EXACT * (1 + found.x.abs())).all()
    elif method.op == "sample":
        assert task.noise is not None
        assert law.margin(params, task.noise).min() >= MARGIN
        assert torch.equal(law.draw(params, task.noise), found.x)
        assert torch.equal(found.x, ran(source, by(source, "sample"), n, range(3))[1].x)


def rows_agree(source: Source, method: Method, n: int) -> None:
    """A row of a batch is the row alone: the second and the last."""
    together = ran(source, method, n, range(3))[1]
    assert together.params is not None
    for row in (1, 2):
        alone = method.run(source, job(source, method, n, range(row, row + 1)))
        assert alone.params is not None
        if source.distribution.finite:
            assert torch.equal(alone.x[0], together.x[row])
        assert torch.allclose(alone.f[0].double(), together.f[row].double(), rtol=0, atol=1e-9)
        assert torch.allclose(alone.params[0], together.params[row], rtol=0, atol=1e-9)


def log_probs_agree(source: Source, method: Method, n: int) -> None:
    """Each element's log-probability is that of one parallel pass over the same feed."""
    (task, found), law = ran(source, method, n, range(3)), source.distribution
    assert found.params is not None
    expected = law.log_prob(implied(source, found, task), found.x)
    assert (law.log_prob(found.params, found.x) - expected).abs().max() <= EXACT
    if method.op == "score":
        assert found.log_prob is not None
        assert (found.log_prob - expected).abs().max() <= EXACT


def resets(source: Source, method: Method, n: int) -> None:
    """A draw does not depend on the one before, of another batch and length."""
    task, before = ran(source, method, n, range(3))
    method.run(source, job(source, method, length(source, n // 2), range(7, 9)))
    again = method.run(source, task)
    assert torch.equal(before.f, again.f)
    assert torch.equal(before.params, again.params)  # type: ignore[arg-type]


def keeps_given(source: Source, method: Method, n: int) -> None:
    """Given elements stay, any whole groups; the rest is drawn from what they imply.

    It is also the draw that happened to begin with them.
    """
    free, found = ran(source, method, n, range(3))
    law, bounds, whole = source.distribution, source.schedule(n), found.x
    assert free.noise is not None
    other = (whole + 1) % law.levels if law.finite else whole + 1  # type: ignore[attr-defined]
    middle = bounds[min(7, len(bounds) - 2)]
    for m in {bounds[min(1, len(bounds) - 1)], middle, n}:
        forced = method.run(source, replace(free, given=other[:, :m]))
        assert torch.equal(forced.x[:, :m], other[:, :m])
        assert forced.params is not None
        expected = implied(source, forced, free)
        assert torch.allclose(forced.params, expected, rtol=EXACT, atol=1e-9)
        if method.exactness == "distribution":
            continue
        drawn = law.draw(expected, free.noise)
        assert torch.allclose(drawn[:, m:].double(), forced.x[:, m:].double(), rtol=EXACT, atol=EXACT)
    if method.exactness == "distribution":
        return
    again = method.run(source, replace(free, given=whole[:, :middle])).x
    # a real trajectory magnifies roundings, so that only its beginning can be held
    close = whole if law.finite else whole[:, : middle + 1]
    assert torch.allclose(again[:, : close.shape[1]].double(), close.double(), rtol=1e-9, atol=1e-9)
