"""The few sizes at which a check looks show what a power of two, one event or the first size would hide."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from arbench.bench.models.few import AT_LENGTH, DRAWN_AT_LENGTH, Few, Shape, at_length
from arbench.bench.models.wanted import Wanted
from arbench.distributions import Categorical
from arbench.methods import methods_for
from arbench.models import Source, resolve


class Sized(Source):
    """A model that is asked for its sizes alone."""

    presets = {"tiny": {}}
    distribution = Categorical(16)
    weights = lambda self, n: 10**4  # noqa: E731
    forward = start = extend = observe = None  # type: ignore[assignment]


class Stated(Sized):
    ladder = (16, 32, 64, 128, 256)
    count_ladder = (4, 8, 12, 24)


def chosen(source: Source, n: Sequence[int] = (), batch: Sequence[int] = (), most: int = 10**6) -> list[Shape]:
    few = Few(["float32", "float64"])
    return few.shapes(source, n, batch, lambda size: size <= most)


def test_a_model_that_takes_every_size() -> None:
    assert chosen(Sized()) == [
        Shape(13, 2, "float32"),
        Shape(64, 1, "float32"),
        Shape(13, 2, "float64", True),
        Shape(129, 1, "float32", True),
    ]


def test_a_model_that_states_its_sizes_gets_no_other() -> None:
    assert chosen(Stated()) == [
        Shape(12, 2, "float32"),
        Shape(16, 1, "float32"),
        Shape(12, 2, "float64", True),
        Shape(24, 1, "float32", True),
        Shape(128, 1, "float32", False, AT_LENGTH + DRAWN_AT_LENGTH),
    ]


class Stepless(Sized):
    steps = False


def test_a_model_without_steps_is_checked_at_the_largest_size_that_it_takes() -> None:
    assert chosen(Stepless())[-1] == Shape(1024, 1, "float32", False, ("parallel",))
    assert chosen(Stepless(), most=600)[-1] == Shape(512, 1, "float32", False, ("parallel",))
    assert not any(shape.only for shape in chosen(Stepless(), n=[32]))


def test_the_long_size_of_a_large_model_is_left_out_where_the_others_took_long() -> None:
    large, wide = Stated(), Stated()
    large.weights = lambda n: 10**7  # type: ignore[method-assign]
    wide.distribution = Categorical(100_000)
    assert all(chosen(one)[-1] == Shape(128, 1, "float32", True, AT_LENGTH) for one in (large, wide))


class Positions(Stated):
    longest_context = 700


def test_a_model_that_states_its_positions_is_probed_at_the_largest_size_that_is_cheap() -> None:
    assert chosen(Positions())[-1] == Shape(512, 1, "float32", False, ("parallel",))
    assert chosen(Positions(), most=300)[-1] == Shape(256, 1, "float32", False, ("parallel",))
    large = Positions()
    large.weights = lambda n: 10**6  # type: ignore[method-assign]
    assert chosen(large)[-1].n == 256
    assert chosen(Positions(), n=[32])[-1].n == 32


def test_sizes_that_the_data_does_not_have_are_left_out() -> None:
    assert [shape.n for shape in chosen(Sized(), most=100)] == [13, 64, 13]
    assert [shape.n for shape in chosen(Stated(), most=20)] == [12, 16, 12]


def test_given_sizes_and_batches_are_kept() -> None:
    assert chosen(Sized(), n=[32]) == [
        Shape(32, 2, "float32"),
        Shape(32, 1, "float32"),
        Shape(32, 2, "float64", True),
    ]
    assert chosen(Sized(), n=[32, 8], batch=[1, 3]) == [
        *(Shape(n, batch, "float32") for n in (8, 32) for batch in (1, 3)),
        Shape(8, 3, "float64", True),
    ]


@pytest.mark.parametrize(("spec", "sizes"), [("pixelcnn:digits", [9, 64, 144]), ("multiscale_pixelcnn:tiny", None)])
def test_images_have_sizes_of_images(spec: str, sizes: list[int] | None) -> None:
    source = resolve(spec).build()
    found = sorted({shape.n for shape in chosen(source)})
    for n in found:
        source.schedule(n)
    assert sizes is None or found == sizes


def test_a_size_that_no_method_is_checked_at_is_probed_by_one_pass() -> None:
    source = resolve("wavenet:tiny").build()
    by_name = {one.name: Wanted(one) for one in methods_for(source)}
    whole, long = Shape(13, 2, "float32"), Shape(128, 1, "float32", False, AT_LENGTH)
    found = list(at_length(source, [by_name["naive"]], [whole, long]))
    assert [(one.method.name, shape) for one, shape in found] == [("parallel", long)]
    assert list(at_length(source, [by_name["naive"], by_name["sequential"]], [whole, long])) == []
    assert list(at_length(source, [], [long])) == []
