"""Spectrograms: a tone is a dark line at the height of its pitch, and silence is white."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from arbench.border.shown import Sound
from arbench.report.figures.spectrogram import HIGH, WIDE, spectrogram


def seen(samples: np.ndarray, rate: float = 16_000) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(spectrogram(Sound(samples.astype(np.float32), rate)))).convert("L"))


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_a_tone_is_a_line_at_the_height_of_its_pitch(share) -> None:
    """It sounds in the second half alone."""
    time = np.arange(16_000)
    found = seen(np.sin(np.pi * share * time) * (time >= 8000))
    assert found.shape == (HIGH, WIDE)
    assert (found[:, : WIDE // 2 - 8] == 255).all()
    darkest = found[:, WIDE // 2 + 8 :].mean(1).argmin()
    assert abs(darkest - (1 - share) * HIGH) <= 2


@pytest.mark.parametrize("count", [1, 5, 300])
def test_silence_is_white_and_any_length_will_do(count) -> None:
    assert (seen(np.zeros(count)) == 255).all()
