"""Tests of data by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from arbench.data import NAMED, DataError, load_pairs, named
from arbench.models.events.images import ImageSource
from arbench.models.events.translation import TranslationSource


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each name small data of its kind."""
    pixels = np.arange(784, dtype=np.uint8).reshape(28, 28, 1)
    small = {"numbers": [("one", "eins")], "phonemes": [("a", "AH0")], "mnist": [pixels]}
    for name, (what, _) in NAMED.items():
        monkeypatch.setitem(NAMED, name, (what, lambda name=name: small[name]))


@pytest.mark.usefixtures("given")
def test_models_read_data_by_name() -> None:
    assert TranslationSource.load_data("numbers", {}) == (("one", "eins"),)
    assert TranslationSource.load_data("phonemes", {}) == (("a", "AH0"),)
    (image,) = ImageSource.load_data("mnist", {})
    assert image.shape == (28, 28, 1)


@pytest.mark.usefixtures("given")
def test_data_must_fit_the_configuration() -> None:
    with pytest.raises(
        DataError, match=r"mnist: 1 channel per pixel, and the model has 3; .* add ,colours=1 to this one"
    ):
        ImageSource.load_data("mnist", {"colours": 3})


def test_data_of_another_kind_are_refused_before_they_are_read() -> None:
    with pytest.raises(DataError, match="mnist: these are images; wanted sentence pairs"):
        TranslationSource.load_data("mnist", {})
    with pytest.raises(DataError, match="numbers: these are sentence pairs; wanted images"):
        ImageSource.load_data("numbers", {})


def test_a_path_is_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("numbers").write_text("hello\thallo\n")
    assert named("./numbers", "sentence pairs") is None
    assert TranslationSource.load_data("./numbers", {}) == tuple(load_pairs("numbers"))
