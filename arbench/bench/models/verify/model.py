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
from arbench.bench.inexact import InexactError, naming
from arbench.bench.models.contract import check_forward
from arbench.bench.models.evidence import EXACT, check_finite, first_difference
from arbench.bench.models.leaks.alphabet import probe_symbols
from arbench.bench.models.leaks.probes import levels_of, probe_leaks
from arbench.bench.models.leaks.symbols import WIDE, try_symbols
from arbench.bench.models.precision import Precision
from arbench.bench.models.setup import ModelSetup
from arbench.bench.models.verify.extend import first_steps, forward_equals_extend
from arbench.bench.models.verify.held import held
from arbench.bench.models.verify.rewind import rewinds
from arbench.bench.models.verify.stack.layers import probe_stack
from arbench.bench.models.walks import changed
from arbench.models import Source
from arbench.models.layers.stacks import Stack

STEPLESS = "the model has no incremental step, so forward is compared with nothing: leaks are probed, and that is all"
"""Reason why ``forward_against_extend`` is null."""


def verify_model(setup: ModelSetup, source: Source, twin: Source, case: CaseKey) -> dict[str, Any]:
    """Probe a model at one N and batch: nothing leaks, all inputs matter, and ``forward`` equals ``extend``.

    Returns:
        Facts for the results file: ``forward_against_extend``, null with ``why_not_against_extend`` for a model without
        incremental steps; ``leak_probes`` (places probed), ``leak_changes`` (changes tried at each), ``leak_symbols``
        (symbols that a changed element took, of ``leak_levels``), ``leak_swept`` (groups from each of which on elements
        were changed once), ``leak_spread`` (evenly spaced ones, where all cost too much) and ``reaches_back`` (whether
        the last parameters change with the first group); and ``conditioning``, the names of its parts, which all
        matter. Of a language model also ``prompt``, the tokens of its prompt, ``longest``, the most elements of an
            event, and where it has incremental steps what its state holds. Where an adapter takes something for
            granted, ``unchecked``: what, why, and the setting that says or checks it.

    Raises:
        InexactError: a probe found a fault. Its fact ``half`` is 'extend' or 'several' where ``forward`` has passed
            every probe and ``extend`` alone is wrong, or only its calls over several elements are, so that methods
            which make no such call can still be verified.
    """
    if isinstance(source, Stack) and isinstance(twin, Stack):
        with naming("leaks"):
            return probe_stack(source, twin, _feed(setup, source, case), case.n, setup.seed)
    probe = setup.task(source, case)
    context = dict(probe.context)
    f = probe.x if source.feeds == "x" and probe.x is not None else None
    if f is None:
        f = _feed(setup, source, case)
    with naming("forward"), Precision(DTYPES[case.dtype]) as precision:
        code = source.encode(context, case.n)
        params = source(f, code)
        check_forward(source, params, case.batch, case.n)
    with naming("finite"):
        check_finite(params)
    with naming("precision"):
        precision.check()
        precision.check_weights(source)
    with naming("repeatable"):
        _repeats(source, f, context, params)
    with naming("rows"):
        _rows_do_not_mix(twin, as_float64(f), as_float64(context))
    with naming("leaks"):
        probed = probe_leaks(source, f, context, setup.seed, twin)
        symbols = _symbols(source, twin, probed.symbols, case, setup.seed)
    with naming("conditioning"):
        _conditioning_matters(source, f, context, params)
    tried: dict[str, Any] = {
        "leak_probes": probed.places,
        "leak_changes": probed.changes,
        "leak_swept": probed.swept,
        "reaches_back": probed.reaches_back,
    }
    if probed.spread:
        tried["leak_spread"] = probed.spread
    if symbols is not None:
        tried |= {"leak_symbols": symbols, "leak_levels": levels_of(source)}
    if context:
        tried["conditioning"] = sorted(context)
    if source.prompt_length is not None:
        tried["prompt"] = source.prompt_length
    if (most := getattr(source, "longest_context", None)) is not None:
        tried["longest"] = most - (source.prompt_length or 0)
    if known := getattr(source, "unchecked", None):  # an adapter's word on what it takes for granted
        tried["unchecked"] = [list(one) for one in known]
    if not source.steps:
        return {"forward_against_extend": None, "why_not_against_extend": STEPLESS, **tried}
    real = f, context
    try:
        with naming("extend"):
            first_steps(source, f, source.encode(context, case.n), case.dtype)
            f, context = _varied(twin, as_float64(f), as_float64(context))
            worst = _forward_equals_extend(twin, f, context)
        with naming("leaks"):
            wide = try_symbols(source, twin, *real)
        if wide is not None:
            tried |= wide.facts()
        with naming("rewind"):
            back = rewinds(twin, f, twin.encode(context, case.n))
        if source.prompt_length is not None:
            tried |= held(source, *real)
    except InexactError as error:
        error.facts = {**tried, **error.facts}
        raise
    return {"forward_against_extend": worst, **tried, "rewind": back}


def _symbols(source: Source, twin: Source, known: int | None, case: CaseKey, seed: int) -> int | None:
    """Return how many symbols were tried, after those of short events; a wide alphabet with steps is tried later."""
    if known is None or (source.steps and (levels_of(source) or 0) > WIDE):
        return known
    plain = source if source.backend == "eager" else twin  # a backend may compile anew for short events
    return max(known, probe_symbols(plain, case.n, seed, known, twin))


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


def _repeats(source: Source, f: Tensor, context: Any, params: Tensor) -> None:
    """Check that ``forward`` returns the same parameters (B, N, P) when it is called again."""
    again = source(f, source.encode(context, f.shape[1]))
    if not torch.equal(again, params):
        row, at = first_difference(again != params)
        raise InexactError(
            "forward returns other parameters when it is called again with the same elements: those of element "
            f"{at} of row {row} differ by {float((again - params)[row, at].abs().max()):.3g}",
            first_difference=[row, at],
        )


def _conditioning_matters(source: Source, f: Tensor, context: Any, params: Tensor) -> None:
    for name, value in context.items():
        other = value.roll(1, dims=-1) + 1 if value.is_floating_point() else (value + 1) % source.alphabets[name]
        if torch.equal(source(f, source.encode({**context, name: other}, f.shape[1])), params):
            raise InexactError(f"the model ignores its conditioning '{name}'")


def _forward_equals_extend(twin: Source, f: Tensor, context: Any) -> float:
    """Compare ``forward`` with ``extend``; a state in which rows of a batch mix is named as such."""
    try:
        return forward_equals_extend(twin, f, context)
    except InexactError as error:
        if len(f) == 1 or not all(_right_alone(twin, f, context, row) for row in range(len(f))):
            raise
        raise InexactError(
            "a row of a batch changes with the other rows in extend, and is right alone: look at what start and extend "
            "share between rows",
            **{**error.facts, "check": "rows"},
        ) from None


def _right_alone(twin: Source, f: Tensor, context: Any, row: int) -> bool:
    own = {name: value[row : row + 1] for name, value in context.items()}
    try:
        forward_equals_extend(twin, f[row : row + 1], own)
    except InexactError:
        return False
    return True


def _rows_do_not_mix(twin: Source, f: Tensor, context: Any) -> None:
    """Check that the first and the last row have the parameters that each has alone; a single event gets another."""
    if len(f) == 1:
        f = torch.cat([f, changed(twin, f)])
        context = {name: value.repeat(2, *[1] * (value.dim() - 1)) for name, value in context.items()}
    n = f.shape[1]
    whole = twin(f, twin.encode(context, n))
    for row in (0, len(f) - 1):
        own = {name: value[row : row + 1] for name, value in context.items()}
        alone = twin(f[row : row + 1], twin.encode(own, n))
        if not (whole[row : row + 1] - alone).abs().max() <= EXACT * (1 + alone.abs().max()):
            raise InexactError("a row of a batch changes with the other rows", first_difference=[row, 0])
