"""Tests of the factorised model: one group, weights that do not grow, places that differ."""

from __future__ import annotations

import pytest
import torch

from arbench.methods import METHODS, Task, methods_for
from arbench.models import ModelError, resolve
from arbench.models.factorised import Factorised


@pytest.mark.parametrize("preset", Factorised.presets)
def test_every_size_is_one_group_and_needs_the_same_weights(preset: str) -> None:
    source = resolve(f"factorised:{preset}").build()
    for n in source.ladder:
        assert list(source.schedule(n)) == [0, n]
        assert source.weights(n) == source.weights(source.ladder[0])


def test_there_is_nothing_for_a_draft_to_guess() -> None:
    source = resolve("factorised:tiny").build()
    assert source.draft is None
    assert {m.name for m in METHODS} - {m.name for m in methods_for(source)} >= {"speculative", "rejection"}


def test_places_colours_and_classes_have_laws_of_their_own() -> None:
    source = resolve("factorised:rgb").build(dtype=torch.float64)
    params = source(torch.zeros(1, 768, dtype=torch.long), source.encode({}, 768))[0]
    assert torch.unique(params, dim=0).shape[0] == 768
    source = resolve("factorised:digits").build(dtype=torch.float64)
    f = torch.zeros(10, 64, dtype=torch.long)
    params = source(f, source.encode({"class": torch.arange(10)}, 64))
    assert torch.unique(params, dim=0).shape[0] == 10


def test_a_place_is_where_it_is_counted_from_the_upper_left() -> None:
    """A larger image starts with the distributions of a smaller one."""
    source = resolve("factorised:digits").build(dtype=torch.float64)
    code = {"class": torch.tensor([3])}
    small, large = (
        source(torch.zeros(1, side * side, dtype=torch.long), code).view(side, side, 17) for side in (8, 12)
    )
    assert (large[:8, :8] - small).abs().max() <= 1e-12


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("frequencies=0", "a position needs at least 1 frequency, got 0"),
        ("classes=7", "classes must be 0 or 10, got 7"),
    ],
)
def test_wrong_settings_are_refused(setting: str, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        resolve(f"factorised:tiny,{setting}").build()


def test_an_image_is_square() -> None:
    with pytest.raises(ValueError, match=r"has 3 pixels; near: 1, 4$"):
        resolve("factorised:tiny").build().schedule(3)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["digits", "rgb"])
def test_presets_score_and_sample(preset: str) -> None:
    source = resolve(f"factorised:{preset}").build()
    n = source.ladder[-1]
    x, context = source.observe(n, [0, 1], seed=0)
    noise = source.distribution.noise(0, [0, 1], range(n), torch.float32)
    for method in methods_for(source):
        found = method.run(source, Task(n, context, noise=noise, x=x, record=True))
        assert found.params is not None
        assert found.params.isfinite().all()
