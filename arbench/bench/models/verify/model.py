"""Verification of a model: it leaks nothing, ignores nothing, and steps as its parallel forward does.

A forward that leaks from the future would confirm itself when it verifies a method. So a model is probed first:
changed elements must change what follows and nothing before, and ``forward`` must equal ``extend`` in float64.
"""

from __future__ import annotations

from typing import Any

import msgspec
import torch
from torch import Tensor

from arbench.bench.case import CaseKey
from arbench.bench.dtypes import DTYPES, as_float64
from arbench.bench.inexact import InexactError
from arbench.bench.models.alphabet import probe_symbols
from arbench.bench.models.contract import check_forward
from arbench.bench.models.evidence import EXACT, check_finite
from arbench.bench.models.precision import Precision
from arbench.bench.models.probes import probe_leaks
from arbench.bench.models.setup import ModelSetup
from arbench.bench.models.symbols import try_symbols
from arbench.bench.models.verify.extend import first_steps, forward_equals_extend
from arbench.bench.models.verify.rewind import rewinds
from arbench.bench.models.verify.stack.layers import probe_stack
from arbench.models import Source
from arbench.models.layers.stacks import Stack

STEPLESS = "the model has no incremental step, so forward is compared with nothing: leaks are probed, and that is all"
"""Reason why ``forward_against_extend`` is null."""


def verify_model(setup: ModelSetup, source: Source, twin: Source, case: CaseKey) -> dict[str, Any]:
    """Probe a model at one N and batch: nothing leaks, all inputs matter, and ``forward`` equals ``extend``.

    Returns:
        Facts for the results file: ``forward_against_extend``, null with ``why_not_against_extend`` for a model without
        incremental steps; ``leak_probes`` (places probed), ``leak_changes``
        (changes tried at each) and ``leak_symbols`` (symbols that a changed element took).

    Raises:
        InexactError: a probe found a fault. Its fact ``half`` is 'extend' or 'several' where ``forward`` has passed
            every probe and ``extend`` alone is wrong, or only its calls over several elements are, so that methods
            which make no such call can still be verified.
    """
    if isinstance(source, Stack) and isinstance(twin, Stack):
        return probe_stack(source, twin, _feed(setup, source, case), case.n, setup.seed)
    probe = setup.task(source, case)
    context = dict(probe.context)
    f = probe.x if source.feeds == "x" and probe.x is not None else None
    if f is None:
        f = _feed(setup, source, case)
    with Precision(DTYPES[case.dtype]) as precision:
        code = source.encode(context, case.n)
        params = source(f, code)
        check_forward(source, params, case.batch, case.n)
    check_finite(params)
    precision.check()
    precision.check_weights(source)
    probed = probe_leaks(source, f, context, setup.seed, twin)
    for name, value in context.items():
        other = value.roll(1, dims=-1) + 1 if value.is_floating_point() else (value + 1) % source.alphabets[name]
        if torch.equal(source(f, source.encode({**context, name: other}, case.n)), params):
            raise InexactError(f"the model ignores its conditioning '{name}'")
    tried = {"leak_probes": probed.places, "leak_changes": probed.changes}
    if probed.symbols is not None:
        plain = source if source.backend == "eager" else twin  # a backend may compile anew for short events
        tried["leak_symbols"] = max(probed.symbols, probe_symbols(plain, case.n, setup.seed, probed.symbols))
    _rows_do_not_mix(twin, as_float64(f), as_float64(context), case)
    real = f, context
    if not source.steps:
        tried |= _rare(source, twin, real, case)
        return {"forward_against_extend": None, "why_not_against_extend": STEPLESS, **tried}
    first_steps(source, f, source.encode(context, case.n), case.dtype)
    f, context = _varied(twin, as_float64(f), as_float64(context))
    worst = forward_equals_extend(twin, f, twin.encode(context, case.n))
    tried |= _rare(source, twin, real, case)
    return {"forward_against_extend": worst, **tried, "rewind": rewinds(twin, f, twin.encode(context, case.n))}


def _rare(source: Source, twin: Source, real: tuple[Tensor, Any], case: CaseKey) -> dict[str, Any]:
    """Try the symbols of a wide alphabet, which the other probes have tried few of; return facts."""
    tried = try_symbols(source, twin, *real)
    return {} if tried is None else tried.facts()


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


def _rows_do_not_mix(twin: Source, f: Tensor, context: Any, case: CaseKey) -> None:
    if case.batch == 1:
        return
    whole = twin(f, twin.encode(context, case.n))[:1]
    first = {name: value[:1] for name, value in context.items()}
    alone = twin(f[:1], twin.encode(first, case.n))
    if not (whole - alone).abs().max() <= EXACT * (1 + alone.abs().max()):
        raise InexactError("a row of a batch changes with the other rows")
