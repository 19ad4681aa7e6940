"""Tests of the protocol: every model's statements are complete, and its events reproducible."""

from __future__ import annotations

import pytest
import torch

from arbench.data import DataError
from arbench.methods import methods_for
from arbench.models import Source, names, resolve
from arbench.models.base import FAMILIES
from arbench.models.wavenet import WaveNet
from arbench.stats.claims import parse

MODELS = [resolve(name).cls for name in names()]
TINY = [f"{name}:{p}" for name in names() for p in resolve(name).cls.presets if p.startswith("tiny")]


@pytest.mark.parametrize("cls", MODELS)
def test_every_method_has_a_claim(cls: type[Source]) -> None:
    """A method that takes the same steps as another shares its claim."""
    assert set(cls.claims) == {(m.op, m.like or m.name) for m in methods_for(cls)}
    for claim in cls.claims.values():
        assert parse(claim.depth)
        assert parse(claim.work)


@pytest.mark.parametrize("cls", MODELS)
def test_every_model_says_what_it_is(cls: type[Source]) -> None:
    assert cls.default_preset in cls.presets
    assert any(preset.startswith("tiny") for preset in cls.presets)
    assert cls.element != Source.element
    assert "arXiv" in cls.citation or "doi" in cls.citation
    assert cls.family in FAMILIES
    for preset in cls.presets:
        assert f"{preset}:" in (cls.__doc__ or "") or f"{preset}," in (cls.__doc__ or "")


@pytest.mark.parametrize("spec", TINY)
def test_ladders_are_long_enough_and_of_events_that_exist(spec: str) -> None:
    source = resolve(spec).build()
    assert len(source.ladder) >= 5
    assert max(source.ladder) >= 16 * min(source.ladder)
    for n in (*source.ladder, *source.count_ladder):
        assert source.schedule(n)[0] == 0
        assert source.schedule(n)[-1] == n


@pytest.mark.parametrize("spec", TINY)
def test_no_event_is_empty(spec: str) -> None:
    for n in (0, -1):
        with pytest.raises(ValueError, match=str(n)):
            resolve(spec).build().schedule(n)


@pytest.mark.parametrize("spec", TINY)
def test_events_are_real_and_reproducible(spec: str) -> None:
    """A row is the same in any batch, rows differ, and finite events vary within the alphabet."""
    source = resolve(spec).build()
    n = source.ladder[0]
    x, context = source.observe(n, [0, 5], seed=1)
    again, alike = source.observe(n, [5], seed=1)
    assert torch.equal(again[0], x[1])
    for name, value in context.items():
        assert torch.equal(alike[name][0], value[1]), name
    assert not torch.equal(x[0], x[1])
    assert not torch.equal(source.observe(n, [0], seed=2)[0], x[:1])
    assert x.shape == (2, n)
    if source.distribution.finite:
        assert x.dtype == torch.long
        assert x.min() >= 0
        assert x.max() < source.distribution.levels  # type: ignore[attr-defined]
    assert x.unique().numel() > 1


@pytest.mark.parametrize("spec", TINY)
def test_parameters_have_the_width_of_the_distribution(spec: str) -> None:
    source = resolve(spec).build(dtype=torch.float64)
    n = source.count_ladder[0]
    x, context = source.observe(n, [0, 1, 2], seed=0)
    context = {k: v.double() if v.is_floating_point() else v for k, v in context.items()}
    x = x.double() if x.is_floating_point() else x
    params = source(x, source.encode(context, n))
    assert params.shape == (3, n, source.distribution.params_width)
    assert source.distribution.log_prob(params, x).shape == (3, n)


@pytest.mark.parametrize(("n", "near"), [(1, "3"), (4, "3, 12"), (11, "3, 12"), (13, "12, 27")])
def test_no_image_of_that_many_sub_pixels(n: int, near: str) -> None:
    with pytest.raises(ValueError, match=f"3 colours has {n} sub-pixels; near: {near}$"):
        resolve("pixelcnn:tiny").build().schedule(n)


def test_no_recording_is_that_long() -> None:
    with pytest.raises(DataError, match="too short"):
        resolve("wavenet:tiny").build().observe(10**9, [0], seed=0)


def test_a_wavenet_needs_skip_channels() -> None:
    with pytest.raises(ValueError, match="needs skip channels"):
        WaveNet(**{**WaveNet.presets["tiny"], "skip": 0})


def test_data_of_ones_own_must_be_read_by_the_model() -> None:
    with pytest.raises(NotImplementedError, match="Source does not read data"):
        Source.load_data("nowhere", {})


def test_a_model_that_names_its_citation_source_warns_where_it_is_written() -> None:
    with pytest.warns(FutureWarning, match=r"^Old\.source is deprecated: name it citation$") as caught:

        class Old(WaveNet):
            source = "Somebody 1999"

    assert Old.citation == "Somebody 1999"
    assert caught[0].filename == __file__


def test_a_model_with_both_names_keeps_its_citation() -> None:
    class Both(WaveNet):
        citation = "Somebody 2001"
        source = "Somebody 1999"

    assert Both.citation == "Somebody 2001"


def test_a_source_from_a_mixin_is_the_citation_too() -> None:
    class Published:
        source = "Somebody 1998"

    with pytest.warns(FutureWarning, match=r"^Mixed\.source is deprecated"):

        class Mixed(Published, WaveNet):
            pass

    assert Mixed.citation == "Somebody 1998"


def test_the_old_name_of_a_citation_is_read_with_a_warning() -> None:
    with pytest.warns(FutureWarning, match=r"^WaveNet\.source is deprecated: read citation$") as caught:
        assert WaveNet.source == WaveNet.citation
    assert caught[0].filename == __file__
