"""Sounds beside real ones by measure: tones and noise of known level and spectrum."""

from __future__ import annotations

import numpy as np
import pytest

from arbench.bench.models.heard import BANDS, heard, level, said, spectrum
from arbench.border.shown import Sound, Text

RATE = 16_000
TIME = np.arange(RATE) / RATE
NOISE = np.random.default_rng(5).normal(size=(4, RATE))


def sound(samples: np.ndarray, rate: float = RATE) -> Sound:
    return Sound(np.asarray(samples, np.float32), rate)


def coloured(row: int, power: float) -> Sound:
    """Return noise whose power falls or rises as a power of the frequency."""
    spectrum = np.fft.rfft(NOISE[row])
    spectrum[0] = 0
    spectrum[1:] *= np.arange(1, len(spectrum)) ** (power / 2)
    shaped = np.fft.irfft(spectrum)
    return sound(0.1 * shaped / shaped.std())


def test_the_level_is_that_of_the_root_mean_square() -> None:
    assert level(sound(np.sin(2 * np.pi * 440 * TIME))) == pytest.approx(-10 * np.log10(2), abs=1e-4)
    assert level(sound(np.where(TIME < 0.5, 0.1, -0.1))) == pytest.approx(-20, abs=1e-4)
    assert level(sound(np.zeros(10))) is None


def test_a_tone_is_loudest_in_the_band_of_its_pitch() -> None:
    peaks = []
    for pitch in (300, 1000, 4000):
        found = spectrum([sound(np.sin(2 * np.pi * pitch * TIME))])
        assert found.shape == (BANDS,)
        peaks.append(int(found.argmax()))
    mels = [300 / (200 / 3), 15, 15 + np.log(4) / np.log(6.4) * 27]
    top = 15 + np.log(8) / np.log(6.4) * 27
    assert np.abs(np.array(peaks) - [mel / top * (BANDS + 1) - 1 for mel in mels]).max() <= 1


def test_a_slope_in_decibels_is_measured_whatever_the_level() -> None:
    """Noise that falls by 3 dB an octave against white: the mean over bands follows from their centres."""
    white, pink = [coloured(row, 0) for row in range(2)], coloured(2, -1)
    top = 15 + np.log(8) / np.log(6.4) * 27
    mels = top * np.arange(1, BANDS + 1) / (BANDS + 1)
    centres = np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))
    slope = -10 * np.log10(centres)
    exact = np.abs(slope - slope.mean()).mean()
    (loud, _) = heard([pink, white[1]], white)
    quiet = sound(pink.samples * 0.01)
    (faint, _) = heard([quiet, white[1]], white)
    assert loud.spectrum_db == pytest.approx(exact, rel=0.1)
    assert faint.spectrum_db == pytest.approx(loud.spectrum_db, abs=0.01)
    assert faint.level_db == pytest.approx(loud.level_db - 40, abs=0.01)


def test_real_sounds_are_compared_with_the_others_alone() -> None:
    white = [coloured(row, 0) for row in range(3)]
    *same, odd = heard([coloured(3, 0)] * 4, [*white, coloured(3, -2)])
    assert odd.real_spectrum_db > 3 * heard([white[0]] * 3, white)[0].real_spectrum_db
    assert [one.real_level_db for one in same] == pytest.approx([-20] * 3, abs=0.01)
    (alone,) = heard([white[0]], [white[0]])
    assert alone.real_spectrum_db is None
    assert alone.spectrum_db == 0


def test_silence_has_no_level_and_no_spectrum() -> None:
    (found,) = heard([sound(np.zeros(500))], [coloured(0, 0)])
    assert found.facts() == {
        "level_db": None,
        "real_level_db": pytest.approx(-20, abs=0.01),
        "spectrum_db": None,
        "real_spectrum_db": None,
    }
    assert said([found]) == "silent, real -20.0"


def test_other_events_are_not_heard() -> None:
    assert heard([Text("a")], [Text("b")]) is None


@pytest.mark.parametrize("rate", [100, 8000, 44_100])
def test_any_rate_and_length_will_do(rate) -> None:
    (found,) = heard([sound(NOISE[0][:5], rate)], [sound(NOISE[1][:5], rate)])
    assert 0 < found.spectrum_db < 60


def test_the_means_are_said() -> None:
    found = heard([coloured(2, -1)] * 2, [coloured(0, 0), coloured(1, 0)])
    far, among = found[0].spectrum_db, np.mean([one.real_spectrum_db for one in found])
    assert said(found) == (
        f"level -20.0 dBFS, real -20.0; long-term spectra differ from real ones by {far:.1f} dB, and real ones "
        f"{among:.1f} dB among themselves"
    )
