"""Probes of a forward find leaks that depend on data, and say how much was tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from arbench.bench.inexact import InexactError
from arbench.bench.models.leaks import probes
from arbench.bench.models.leaks.probes import changes_for, levels_of, probe_leaks
from arbench.models import Source, names, resolve

N = 24
TINY = [f"{name}:tiny" for name in names()]


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


def probed(spec: str, leak: Callable[[Tensor, Tensor], None] | None = None, seed: int = 0) -> probes.Probed:
    """Probe a preset whose forward adds a leak to its parameters (B, N, P), given the feed (B, N)."""
    source = resolve(spec).build()
    forward = source.forward

    def leaking(f: Tensor, code: object) -> Tensor:
        params = forward(f, code).clone()
        if leak is not None:
            leak(params, f)
        return params

    source.forward = leaking  # type: ignore[method-assign,assignment]
    n = length(source)
    x, context = source.observe(n, [0], seed=0)
    f = x if source.feeds == "x" else source.distribution.noise(0, [0], range(n), torch.float32).squeeze(-1)
    return probe_leaks(source, f, context, seed)


def length(source: Source) -> int:
    for n in range(N, 200):
        try:
            source.schedule(n)
        except ValueError:
            continue
        return n
    raise AssertionError


@pytest.mark.parametrize("spec", TINY)
def test_sound_models_pass_with_any_seed(spec: str) -> None:
    for seed in range(5):
        found = probed(spec, seed=seed)
        assert found.changes >= 2
        assert found.places >= 1


@pytest.mark.parametrize("spec", ["wavenet:tiny", "pixelcnn:tiny", "transformer:tiny", "lstm:tiny"])
def test_a_leak_from_any_single_symbol_is_found(spec: str) -> None:
    """It reads one symbol of the alphabet, at the last place or at the one after the middle."""
    source = resolve(spec).build()
    levels, n = levels_of(source), length(source)
    assert levels is not None
    for symbol in range(levels):
        for place in (n - 1, n // 2 + 1):

            def leak(params: Tensor, f: Tensor, place: int = place, symbol: int = symbol) -> None:
                params[:, place - 1] += 1e-3 * (f[:, place] == symbol)[:, None]

            with pytest.raises(InexactError, match=r"^forward leaks: parameters of element \d+ change with elements"):
                probed(spec, leak)


def test_a_leak_that_depends_on_the_past_as_well_is_found() -> None:
    """It reads the last element only after some first symbol."""
    levels = levels_of(resolve("wavenet:tiny").build())
    assert levels is not None
    for symbol in range(levels):

        def leak(params: Tensor, f: Tensor, symbol: int = symbol) -> None:
            params[:, 3] += 1e-3 * f[:, -1:] * (f[:, :1] == symbol)

        with pytest.raises(InexactError, match="forward leaks"):
            probed("wavenet:tiny", leak)


@pytest.mark.parametrize("spec", ["parallel_wavenet:tiny", "wavenet:tiny_gaussian"])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_leak_from_large_numbers_alone_is_found(spec: str, side: int) -> None:
    def leak(params: Tensor, f: Tensor) -> None:
        params[:, 3] += 1e-3 * (side * f[:, -1:] > 3)

    with pytest.raises(InexactError, match="forward leaks"):
        probed(spec, leak)


def test_elements_that_change_nothing_later_are_found() -> None:
    def leak(params: Tensor, f: Tensor) -> None:
        params.zero_()

    with pytest.raises(InexactError, match=r"^elements from 0 on change no later parameter$"):
        probed("wavenet:tiny", leak)


def test_the_budget_limits_the_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    source = resolve("wavenet:tiny").build()
    weights = sum(p.numel() for p in source.parameters())
    short, long = (torch.zeros(1, n, dtype=torch.long) for n in (16, 16384))
    assert changes_for(source, short) == 16
    monkeypatch.setattr(probes, "WORK", 5 * 16 * weights)
    assert changes_for(source, short) == 5
    assert changes_for(source, long) == 2


def test_a_row_says_what_was_tried(measure) -> None:  # type: ignore[no-untyped-def]
    results = measure("wavenet:tiny", n=[16], methods=["parallel", "cached"])
    levels = levels_of(resolve("wavenet:tiny").build())
    for row in results.cases.values():
        assert row.verified["leak_probes"] == 5
        assert (row.verified["leak_changes"], row.verified["leak_symbols"]) == (16, levels)
