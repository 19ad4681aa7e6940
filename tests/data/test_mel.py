"""Log-mel spectrograms against their definition."""

import math

import numpy as np
import pytest

from arbench.data import log_mel, speech
from arbench.data.mel import FLOOR, mel_bands

RATE = 16_000


def hz_of_mel(mel: float) -> float:
    """Return mels on Slaney's scale, from its definition."""
    return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def one_value(samples, rate: int, n_mels: int, hop: int, window: int, band: int, frame: int):
    """Compute the definition sum by sum: no FFT, no padding, no matrix."""
    top = 15 + 27 * math.log(rate / 2 / 1000) / math.log(6.4)
    low, centre, high = (hz_of_mel(top * (band + i) / (n_mels + 1)) for i in range(3))
    first = frame * hop - (window - hop) // 2
    total = 0.0
    for k in range(window // 2 + 1):
        hz = k * rate / window
        if not low < hz < high:
            continue
        sum_ = 0j
        for i in range(window):
            if 0 <= first + i < len(samples):
                hann = math.sin(math.pi * i / window) ** 2
                angle = -2 * math.pi * k * i / window
                sum_ += samples[first + i] * hann * complex(math.cos(angle), math.sin(angle))
        height = (hz - low) / (centre - low) if hz < centre else (high - hz) / (high - centre)
        total += abs(sum_) * height * 2 / (high - low)
    return math.log(max(total, FLOOR))


@pytest.mark.parametrize(("hop", "window"), [(64, 256), (50, 256), (75, 150)])
def test_agrees_with_the_definition(hop: int, window: int) -> None:
    samples = speech().samples[20_000:21_000].astype(np.float64)
    result = log_mel(samples, RATE, n_mels=12, hop=hop, window=window)
    frames = result.shape[1]
    for band in (0, 5, 11):
        for frame in (0, 1, frames // 2, frames - 1):
            expected = one_value(samples, RATE, 12, hop, window, band, frame)
            assert result[band, frame] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("count", [1, 255, 256, 257, 1000])
def test_has_a_frame_for_every_begun_hop(count: int) -> None:
    result = log_mel(np.ones(count), RATE)
    assert result.shape == (80, -(-count // 256))
    assert result.dtype == np.float32
    assert np.isfinite(result).all()


def test_silence_is_the_floor() -> None:
    np.testing.assert_allclose(log_mel(np.zeros(5000), RATE), np.log(FLOOR), rtol=1e-6)


@pytest.mark.parametrize("hz", [300, 1000, 4000])
def test_a_tone_is_loudest_in_its_band(hz: int) -> None:
    result = log_mel(np.sin(2 * np.pi * hz * np.arange(8192) / RATE), RATE)
    centres = mel_bands(RATE, 80, 1024).argmax(axis=1) * RATE / 1024
    loudest = result[:, 16].argmax()
    assert abs(centres[loudest] - hz) < 0.05 * hz + 16


def test_a_click_shows_in_the_frames_whose_window_contains_it() -> None:
    click = np.zeros(4096)
    click[2048 + 128] = 1  # the middle of frame 8
    seen = (log_mel(click, RATE) > np.log(FLOOR) + 1e-3).all(axis=0)
    assert np.flatnonzero(seen).tolist() == [7, 8, 9]  # frame 10 begins there, where its window is zero
    assert log_mel(click, RATE).sum(axis=0).argmax() == 8


def test_bands_have_unit_area() -> None:
    bands = mel_bands(RATE, 40, 4096)
    assert bands.shape == (40, 2049)
    np.testing.assert_allclose(bands.sum(axis=1) * RATE / 4096, 1, atol=0.02)


@pytest.mark.parametrize(
    ("samples", "how", "problem"),
    [
        (np.zeros(0), {}, "T at least 1"),
        (np.zeros((2, 5)), {}, r"got shape \(2, 5\)"),
        (np.zeros(5), {"hop": 0}, "got 0 with window 1024"),
        (np.zeros(5), {"hop": 300, "window": 200}, "got 300 with window 200"),
        (np.zeros(5), {"n_mels": 0}, "n_mels and rate must be at least 1, got 0"),
    ],
)
def test_refuses_sizes_out_of_range(samples, how, problem) -> None:
    with pytest.raises(ValueError, match=problem):
        log_mel(samples, RATE, **how)
