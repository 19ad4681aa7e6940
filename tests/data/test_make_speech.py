"""The builder of the speech: resampling, and the shipped files."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from arbench.data import load_audio, voices
from arbench.data.make_speech import HERE, RATE, VOICES, main, paragraphs, resample

ORIGIN = (HERE / "ORIGIN.md").read_text(encoding="utf-8")


def test_every_voice_has_a_paragraph_a_file_and_a_line_of_origin() -> None:
    text = (HERE / "speech.txt").read_text(encoding="utf-8")
    assert len(paragraphs(text)) == len(VOICES)
    assert list(voices()) == [voice.name for voice in VOICES]
    for voice in VOICES:
        line = f"| `speech-{voice.name}.flac` | `{voice.espeak}` | {voice.speed} | {voice.pitch} |"
        assert line in ORIGIN


@pytest.mark.parametrize("hz", [100, 1000, 7000])
def test_resampling_keeps_a_tone_below_the_nyquist_frequency(hz: int) -> None:
    sound = np.sin(2 * np.pi * hz * np.arange(22_050) / 22_050)
    result = resample(sound, 22_050, RATE)
    assert result.shape == (RATE,)
    expected = np.sin(2 * np.pi * hz * np.arange(RATE) / RATE)
    np.testing.assert_allclose(result[500:-500], expected[500:-500], atol=1e-3)


@pytest.mark.parametrize("hz", [8100, 9000, 10_900])
def test_resampling_removes_what_would_alias(hz: int) -> None:
    sound = np.sin(2 * np.pi * hz * np.arange(22_050) / 22_050)
    assert np.abs(resample(sound, 22_050, RATE)[500:-500]).max() < 1e-3


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
def test_makes_what_ships(tmp_path: Path) -> None:
    version = subprocess.run(["espeak-ng", "--version"], capture_output=True, text=True, check=True)
    if "text-to-speech: 1.51 " not in version.stdout:
        pytest.skip("what ships was made with eSpeak NG 1.51")
    main(tmp_path)
    for voice in VOICES:
        made = load_audio(tmp_path / f"speech-{voice.name}.flac").samples
        shipped = load_audio(HERE / f"speech-{voice.name}.flac").samples
        np.testing.assert_allclose(made, shipped, atol=1.1 / 32768)
