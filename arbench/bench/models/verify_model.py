"""Verification of a model: it leaks nothing, ignores nothing, and steps as its parallel forward does.

A forward that leaks from the future would confirm itself when it verifies a method. So a model is probed first:
changed elements must change what follows and nothing before, and ``forward`` must equal ``extend`` in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import torch
from torch import Tensor

from arbench.bench.case import CaseKey
from arbench.bench.dtypes import DTYPES, as_float64
from arbench.bench.inexact import InexactError
from arbench.bench.models.contract import check_extended, check_forward
from arbench.bench.models.evidence import EXACT, first_difference
from arbench.bench.models.precision import Precision
from arbench.bench.models.probes import probe_leaks
from arbench.bench.models.setup import ModelSetup
from arbench.models import Source

POSITIONS = 64
"""Number of last positions at which ``forward`` is compared with ``extend``."""


def verify_model(setup: ModelSetup, source: Source, twin: Source, case: CaseKey) -> dict[str, Any]:
    """Probe a model at one N and batch: nothing leaks, all inputs matter, and ``forward`` equals ``extend``.

    Returns:
        Facts for the results file: ``forward_against_extend``; ``leak_probes`` (places probed), ``leak_changes``
        (changes tried at each) and ``leak_symbols`` (symbols that a changed element took).

    Raises:
        InexactError: a probe found a fault. Its fact ``half`` is 'extend' where ``forward`` has passed every probe and
            the steps alone are wrong, so that methods which make no steps can still be verified.
    """
    probe = setup.task(source, case)
    context = dict(probe.context)
    f = probe.x if source.feeds == "x" and probe.x is not None else None
    if f is None:
        f = _feed(setup, source, case)
    with Precision(DTYPES[case.dtype]) as precision:
        code = source.encode(context, case.n)
        params = source(f, code)
        check_forward(source, params, case.batch, case.n)
        extended = source.extend(source.start(case.batch, case.n, code), f, 0, 1)
        check_extended(source, extended, case.batch, source.schedule(case.n)[1])
    precision.check()
    precision.check_weights(source)
    probed = probe_leaks(source, f, context, setup.seed)
    for name, value in context.items():
        other = value.roll(1, dims=-1) + 1 if value.is_floating_point() else (value + 1) % source.alphabets[name]
        if torch.equal(source(f, source.encode({**context, name: other}, case.n)), params):
            raise InexactError(f"the model ignores its conditioning '{name}'")
    tried = {"leak_probes": probed.places, "leak_changes": probed.changes}
    if probed.symbols is not None:
        tried["leak_symbols"] = probed.symbols
    _rows_do_not_mix(twin, as_float64(f), as_float64(context), case)
    worst = _forward_equals_extend(twin, *_varied(twin, as_float64(f), as_float64(context)), case)
    return {"forward_against_extend": worst, **tried}


def _feed(setup: ModelSetup, source: Source, case: CaseKey) -> Tensor:
    """Return real events for a network that reads events, noise for one that reads noise."""
    if source.feeds == "z":
        noise = setup.task(source, _with_method(case, "sample", "parallel")).noise
        assert noise is not None
        return noise.squeeze(-1)
    x = setup.task(source, _with_method(case, "score", "parallel")).x
    assert x is not None
    return x


def _with_method(case: CaseKey, op: str, method: str) -> CaseKey:
    return msgspec.structs.replace(case, op=op, method=method)


def _changed(source: Source, x: Tensor) -> Tensor:
    if source.feeds == "x" and source.distribution.finite:
        levels = getattr(source.distribution, "levels", 2)
        return (x + max(levels // 2, 1)) % levels
    return x + 1


def _varied(twin: Source, f: Tensor, context: Any) -> tuple[Tensor, Any]:
    """Return a feed and conditioning that vary everywhere: real ones may be silent, and silence hides a stale past."""
    g = torch.Generator().manual_seed(0)
    if twin.feeds == "x" and twin.distribution.finite:
        levels = getattr(twin.distribution, "levels", 2)
        f = torch.randint(levels, f.shape, generator=g, dtype=f.dtype).to(f.device)
    varied = {}
    for name, value in context.items():
        noise = torch.randn(value.shape, generator=g, dtype=torch.float64).to(value.device)
        varied[name] = value + noise if value.is_floating_point() else value
    return f, varied


def _forward_equals_extend(twin: Source, f: Tensor, context: Any, case: CaseKey) -> float:
    code = twin.encode(context, case.n)
    bounds = twin.schedule(case.n)
    groups = len(bounds) - 1
    first = max(groups - POSITIONS, 0)
    state = twin.start(case.batch, case.n, code)

    def past(g: int) -> Tensor:
        """Return the feed before group ``g``, and changed elements from there on, which ``extend`` must not read."""
        return torch.cat([f[:, : bounds[g]], _changed(twin, f[:, bounds[g] :])], dim=1)

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
        row, at = first_difference(~(difference <= allowed))
        half, why = _half_at_fault(twin, f, code, case, bounds)
        raise InexactError(
            f"forward and extend differ by {worst:.3g} in float64 from element {bounds[first] + at} on, "
            f"allowed {allowed:.3g}: {why}",
            first_difference=[row, bounds[first] + at],
            half=half,
        )
    return worst


def _half_at_fault(twin: Source, f: Tensor, code: Any, case: CaseKey, bounds: Sequence[int]) -> tuple[str | None, str]:
    """Return which half is wrong, 'extend' or None where that cannot be told, and the reason.

    ``forward`` defines the model, once it is known to read no later element. ``extend`` is wrong where the parameters
    of a step change with elements that come after them, and where its steps differ from its own evaluation of all
    groups at once, which equals a ``forward`` that does not call it.
    """
    groups, calls = len(bounds) - 1, 0
    first = max(groups - POSITIONS, 0)
    extend = twin.extend

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        return extend(*args, **kwargs)

    twin.__dict__["extend"] = counted
    try:
        expected = twin(f, code)
    finally:
        del twin.__dict__["extend"]
    allowed = EXACT * (1 + float(expected.abs().max()))

    def near(a: Tensor, b: Tensor) -> bool:
        return bool(((a - b).abs() <= allowed).all())

    def steps(changing: bool) -> Tensor:
        """Return the parameters of the last groups step by step, with later elements as they are or changed."""
        state, found = twin.start(case.batch, case.n, code), []

        def seen(g: int) -> Tensor:
            later = f[:, bounds[g] :]
            return torch.cat([f[:, : bounds[g]], _changed(twin, later) if changing else later], dim=1)

        if first:
            _, state = twin.extend(state, seen(first - 1), 0, first)
        for g in range(first, groups):
            params, state = twin.extend(state, seen(g), g, g + 1)
            found.append(params)
        return torch.cat(found, dim=1)

    true = steps(changing=False)
    if not bool(true.isfinite().all()):
        return "extend", "extend is wrong, since it returns parameters that are not finite"
    if not near(true, steps(changing=False)):
        return "extend", "extend is wrong, since it returns others when it is called again: it must draw nothing itself"
    if not near(true, steps(changing=True)):
        return "extend", "extend is wrong, since its parameters change with elements that come after them"
    at_once, _ = twin.extend(twin.start(case.batch, case.n, code), f, 0, groups)
    if calls == 0 and near(at_once, expected) and not near(true, at_once[:, bounds[first] :]):
        return (
            "extend",
            "extend is wrong, since all groups at once equal forward and steps do not: see its state",
        )
    return None, "which of the two is wrong cannot be told, so no method is verified"


def _rows_do_not_mix(twin: Source, f: Tensor, context: Any, case: CaseKey) -> None:
    if case.batch == 1:
        return
    whole = twin(f, twin.encode(context, case.n))[:1]
    first = {name: value[:1] for name, value in context.items()}
    alone = twin(f[:1], twin.encode(first, case.n))
    if not (whole - alone).abs().max() <= EXACT * (1 + alone.abs().max()):
        raise InexactError("a row of a batch changes with the other rows")
