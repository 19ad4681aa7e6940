"""Tests of backends: kernels give the same results as plain PyTorch, which is the default."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache, partial
from itertools import count
from typing import Any

import pytest
import torch
from torch import Tensor

from arbench.distributions import Categorical, DiscretizedLogisticMixture
from arbench.kernels.core.launch import launched
from arbench.methods import Method, Task, methods_for
from arbench.models import ModelError, Source, names, resolve
from arbench.models.base import Switched
from arbench.models.layers.dilated import DilatedStack

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TINY = [f"{name}:{p}" for name in names() for p in resolve(name).cls.presets if p.startswith("tiny")]
N = 12
LAWS = {
    Categorical: {"score": {"log_prob_single_block_kernel"}, "sample": {"sample_single_block_kernel"}},
    DiscretizedLogisticMixture: {
        "score": {"logistic_mixture_log_prob_kernel"},
        "sample": {"logistic_mixture_sample_kernel"},
    },
}
"""Triton programs of the distributions with kernels, by op."""
STEPWISE = {"sequential", "cached", "inversion", "blocks", "forecast", "speculative", "inversion_blocks"}
"""Methods that extend a state, which runs in plain PyTorch."""
SINGLE = {"parallel", "cached", "inversion_fixed_point"}
"""Methods that run in float32 too: one per op of every model, since only kernels depend on the dtype."""


@lru_cache(maxsize=8)
def shared(spec: str, dtype: torch.dtype, backend: str) -> Source:
    """Return a model that tests share, and do not change."""
    return resolve(spec).build(3, dtype, DEVICE, backend=backend)


CASES = [
    pytest.param(
        spec,
        method,
        dtype,
        id=f"{spec}-{method.op}-{method.name}-{dtype}",
        marks=()
        if spec.endswith(":tiny") or (method.name == "parallel" and dtype == torch.float64)
        else pytest.mark.slow,
    )
    for spec in TINY
    for method in methods_for(shared(spec, torch.float64, "eager"))
    if method.exactness == "pointwise" and not method.like
    for dtype in (torch.float64, torch.float32)
    if dtype == torch.float64 or method.name in SINGLE
]
"""Methods of every model, except those like another: they run the same parts of it, or native code on any backend."""


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


def length(source: Source, least: int = N) -> int:
    """Return the smallest size from ``least`` of the model's events."""
    for n in count(least):
        with suppress(ValueError):
            source.schedule(n)
            return n
    raise AssertionError


def task(source: Source, dtype: torch.dtype) -> Task:
    rows, n = [0, 1, 2], length(source)
    x, context = source.observe(n, rows, seed=1)
    context = {k: v.to(DEVICE, dtype if v.is_floating_point() else v.dtype) for k, v in context.items()}
    x = x.to(DEVICE, dtype if x.is_floating_point() else x.dtype)
    noise = source.distribution.noise(1, rows, range(n), dtype, DEVICE)
    return Task(n=n, context=context, noise=noise, x=x, record=True)


def launches(call: Callable[[], Any]) -> tuple[Any, Counter[str]]:
    before = Counter(launched)
    return call(), launched - before


def test_every_model_scores_and_samples_in_both_dtypes() -> None:
    found = {(case.values[0], case.values[1].op, case.values[2]) for case in CASES}
    assert found == {(s, op, d) for s in TINY for op in ("score", "sample") for d in (torch.float64, torch.float32)}


@pytest.mark.parametrize(("spec", "method", "dtype"), CASES)
def test_every_method_answers_the_same(spec: str, method: Method, dtype: torch.dtype) -> None:
    plain, fused = (shared(spec, dtype, b) for b in ("eager", "triton"))
    given = task(plain, dtype)
    expected, none = launches(lambda: method.run(plain, given))
    found, ran = launches(lambda: method.run(fused, given))
    assert not none
    dilated = any(isinstance(m, DilatedStack) for m in plain.modules())
    layers = {"wavenet_layer_forward_kernel"} if dilated and method.name not in STEPWISE else set()
    assert ran.keys() == LAWS.get(type(plain.distribution), {}).get(method.op, set()) | layers
    close = partial(
        torch.testing.assert_close,
        **(dict(rtol=1e-9, atol=1e-9) if dtype == torch.float64 else dict(rtol=1e-4, atol=1e-4)),
    )
    close(found.x, expected.x)
    close(found.params, expected.params)
    if expected.log_prob is not None:
        close(found.log_prob, expected.log_prob)


@pytest.mark.parametrize("spec", ["wavenet:tiny", "wavenet:tiny_logistic", "parallel_wavenet:tiny"])
def test_a_launch_for_each_layer_and_no_more(spec: str) -> None:
    source = resolve(spec).build(device=DEVICE, backend="triton")
    layers = sum(len(m.dilations) for m in source.modules() if isinstance(m, DilatedStack))
    given = task(source, torch.float32)
    feed = given.x if source.feeds == "x" else given.noise[..., 0]  # type: ignore[index]
    code = source.encode(given.context, given.n)
    _, ran = launches(lambda: source(feed, code))
    assert ran == Counter({"wavenet_layer_forward_kernel": layers})


@pytest.mark.parametrize("spec", TINY)
def test_steps_agree_with_forward_on_triton(spec: str) -> None:
    """Steps run in plain PyTorch, whatever the backend."""
    source = shared(spec, torch.float64, "triton")
    given = task(source, torch.float64)
    feed = given.x if source.feeds == "x" else given.noise[..., 0]  # type: ignore[index]
    assert isinstance(feed, Tensor)
    code = source.encode(given.context, given.n)
    state, steps = source.start(3, given.n, code), []
    for g in range(len(source.schedule(given.n)) - 1):
        params, state = source.extend(state, feed, g, g + 1)
        steps.append(params)
    torch.testing.assert_close(torch.cat(steps, 1), source(feed, code), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("spec", TINY)
@pytest.mark.parametrize("n", [1, 2])
def test_short_events(spec: str, n: int) -> None:
    sources = [shared(spec, torch.float64, b) for b in ("eager", "triton")]
    n = length(sources[0], n)
    x, context = sources[0].observe(n, [0], 1)
    x = x.to(DEVICE) if sources[0].feeds == "x" else x.to(DEVICE, torch.float64)
    moved = {k: v.to(DEVICE, torch.float64 if v.is_floating_point() else v.dtype) for k, v in context.items()}
    one, two = (source(x, source.encode(moved, n)) for source in sources)
    torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("spec", TINY)
def test_a_switch_reaches_every_part_and_back(spec: str) -> None:
    source = resolve(spec).build()
    parts = [m for m in source.modules() if isinstance(m, Switched)]
    for backend in ("triton", "numba", "eager"):
        assert source.use(backend) is source
        assert {m.backend for m in parts} == {source.distribution.backend} == {backend}


def test_plain_pytorch_is_the_default_and_one_model_does_not_switch_another() -> None:
    chosen = resolve("wavenet:tiny")
    chosen.build(device=DEVICE, backend="triton")
    source = chosen.build()
    assert source.backend == source.distribution.backend == "eager"
    assert chosen.cls.backend == DilatedStack.backend == "eager"


def test_numba_scores_what_it_has_a_kernel_for() -> None:
    chosen = resolve("wavenet:tiny")
    plain, compiled = (chosen.build(3, backend=b) for b in ("eager", "numba"))
    x, context = plain.observe(N, [0, 1], 1)
    (one, two), ran = launches(
        lambda: [s.distribution.log_prob(s(x, s.encode(context, N)), x) for s in (plain, compiled)]
    )
    assert not ran
    torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)


def test_misuse(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = resolve("wavenet:tiny")
    with pytest.raises(ModelError, match=r"^unknown backend 'tritn'; did you mean 'triton'\?$"):
        chosen.build(backend="tritn")
    with pytest.raises(ModelError, match=r"^backend 'numba' needs the CPU; the model is on meta$"):
        chosen.build(device="meta", backend="numba")
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    with pytest.raises(ModelError, match=r"^backend 'triton' needs a GPU; the model is on cpu$"):
        chosen.build(backend="triton")
    with pytest.raises(ValueError, match=r"^no backend 'cuda'; available: eager, triton, numba, compile$"):
        chosen.build().use("cuda")
