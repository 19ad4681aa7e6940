"""The checks of ``test_correctness`` are seen to fail on faults planted in models of groups."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from torch import Tensor

from arbench.models.factorised import Factorised
from arbench.models.grouped_pixelcnn import GroupedPixelCNN as Grouped
from arbench.models.layers.local_masks import Past, Taps
from arbench.models.multiscale_pixelcnn import UNSEEN
from arbench.models.multiscale_pixelcnn import MultiscalePixelCNN as Multiscale

Patch = pytest.MonkeyPatch
ALONE, GROUPED, ROWS = "factorised:tiny", "grouped_pixelcnn:tiny", "grouped_pixelcnn:tiny_rows"
SCALES, COLOURS = "multiscale_pixelcnn:tiny", "multiscale_pixelcnn:tiny_colour"


def others_seen(patch: Patch) -> None:
    """A factorised model's forward sees the whole image."""
    right = Factorised.forward

    def off(self: Factorised, f: Tensor, code: Any) -> Tensor:
        params = right(self, f, code)
        return params * (1 + f.to(params.dtype).mean(1, keepdim=True).unsqueeze(-1))

    patch.setattr(Factorised, "forward", off)


def own_group_seen(patch: Patch) -> None:
    """The first convolution's masks are B: a pixel sees its own group, itself included."""
    right = Grouped.encode

    def off(self: Grouped, context: Any, n: int) -> Taps:
        taps = right(self, context, n)
        return Taps(taps.plain, taps.plain, taps.dilated)

    patch.setattr(Grouped, "encode", off)


def later_groups_seen(patch: Patch) -> None:
    """A dilated convolution reads pixels of any group."""
    right = Grouped.encode

    def off(self: Grouped, context: Any, n: int) -> Taps:
        taps = right(self, context, n)
        return Taps(taps.strict, taps.plain, (taps.dilated + 1) % (n + 1))

    patch.setattr(Grouped, "encode", off)


def past_forgotten(patch: Patch) -> None:
    """Steps find zeros where earlier groups' features should be."""
    right = Past.put

    def off(self: Past, x: Tensor) -> Tensor:
        if self.next < len(self.tables):
            self.tables[self.next].zero_()
        return right(self, x)

    patch.setattr(Past, "put", off)


def last_group_not_read(patch: Patch) -> None:
    """Steps read elements up to the group before last."""
    right = Grouped.extend

    def off(self: Grouped, state: Any, f: Tensor, g0: int, g1: int) -> Any:
        bounds = self.schedule(f.shape[1])
        late = f.clone()
        late[:, bounds[max(g1 - 2, 0)] : bounds[max(g1 - 1, 0)]] = 0
        return right(self, state, late, g0, g1)

    patch.setattr(Grouped, "extend", off)


def own_corner_seen(patch: Patch) -> None:
    """In forward, the last of the known corners is the one to be drawn."""
    right = Multiscale._known

    def off(self: Multiscale, values: Tensor, corner: int, places: list[Tensor]) -> list[Tensor]:
        k, number = divmod(corner, UNSEEN)
        known, size = right(self, values, corner, places), self._size(k)
        own = values[:, size * (number + 1) : size * (number + 2)]
        return [*known[:-1], own.reshape(known[0].shape)] if own.shape[1] == size else known

    patch.setattr(Multiscale, "_known", off)


def colour_sees_the_next(patch: Patch) -> None:
    """A colour reads its own and later ones in the place of earlier ones, in forward."""
    right = Multiscale._colours

    def off(self: Multiscale, features: Tensor, values: Tensor, corner: int, first: int, last: int) -> Any:
        if values.shape[1] < self._size(corner // UNSEEN + 1):
            return right(self, features, values, corner, first, last)
        k, number = divmod(corner, UNSEEN)
        begin, size = self._size(k) * (number + 1), self._size(k)
        other = values.clone()
        other[:, begin : begin + size] = values[:, begin : begin + size].roll(-size // self.colours, 1)
        return right(self, features, other, corner, first, last)

    patch.setattr(Multiscale, "_colours", off)


def features_stay(patch: Patch) -> None:
    """Steps keep the features of a doubling's first corner for the others."""
    right = Multiscale._step

    def off(self: Multiscale, state: Any, f: Tensor, corner: int, first: int, last: int) -> Any:
        if corner % UNSEEN and state.features is not None:
            state.corner = corner
        return right(self, state, f, corner, first, last)

    patch.setattr(Multiscale, "_step", off)


def features_stay_when_going_back(patch: Patch) -> None:
    right = Multiscale.rewind

    def off(self: Multiscale, state: Any, mark: Any, f: Tensor, g: int) -> Any:
        corner, features = state.corner, state.features
        state = right(self, state, mark, f, g)
        state.corner, state.features = corner, features
        return state

    patch.setattr(Multiscale, "rewind", off)


def scales_shifted(patch: Patch) -> None:
    """Steps take the weights of the doubling before."""
    step, upscaler = Multiscale._step, Multiscale._upscaler

    def off(self: Multiscale, *args: Any) -> Any:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(Multiscale, "_upscaler", lambda self, c: upscaler(self, max(c - UNSEEN, c % UNSEEN)))
            return step(self, *args)

    patch.setattr(Multiscale, "_step", off)


LEAKS = ("nothing_leaks", "no_gradient_from_later", "chunks_agree", "sums_to_one")
OF_MODELS = [
    *((others_seen, ALONE, check) for check in LEAKS),
    *((own_group_seen, spec, check) for spec in (GROUPED, ROWS) for check in LEAKS[:2]),
    *((later_groups_seen, GROUPED, check) for check in LEAKS[:3]),
    *((own_corner_seen, spec, check) for spec in (SCALES, COLOURS) for check in LEAKS),
    *((colour_sees_the_next, COLOURS, check) for check in LEAKS),
    *((past_forgotten, spec, "chunks_agree") for spec in (GROUPED, ROWS)),
    (last_group_not_read, GROUPED, "chunks_agree"),
    *((features_stay, spec, "chunks_agree") for spec in (SCALES, COLOURS)),
    (features_stay_when_going_back, SCALES, "rewinds"),
    (scales_shifted, SCALES, "chunks_agree"),
]
OF_METHODS = [
    (past_forgotten, ROWS, "cached", "log_probs_agree"),
    (past_forgotten, GROUPED, "forecast", "log_probs_agree"),
    (last_group_not_read, ROWS, "cached", "log_probs_agree"),
    (features_stay, SCALES, "cached", "log_probs_agree"),
    (features_stay_when_going_back, SCALES, "forecast", "log_probs_agree"),
    (scales_shifted, SCALES, "cached", "agrees"),
]


@pytest.mark.parametrize(("fault", "spec", "check"), OF_MODELS)
def test_faults_of_a_model_are_seen(
    fault: Callable[[Patch], None], spec: str, check: str, checks: ModuleType, monkeypatch: Patch
) -> None:
    fault(monkeypatch)
    source = checks.built(spec)
    n = checks.space(source) if check == "sums_to_one" else checks.length(source)
    with pytest.raises(AssertionError):
        getattr(checks, check)(source, n)


@pytest.mark.parametrize(("fault", "spec", "method", "check"), OF_METHODS)
def test_faults_of_a_method_are_seen(
    fault: Callable[[Patch], None], spec: str, method: str, check: str, checks: ModuleType, monkeypatch: Patch
) -> None:
    fault(monkeypatch)
    source = checks.built(spec)
    with pytest.raises(AssertionError):
        getattr(checks, check)(source, checks.by(source, "sample", method), checks.length(source))
