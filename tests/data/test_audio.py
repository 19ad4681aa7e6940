"""Audio: the shipped speech, WAV files of every kind, and files that are refused."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy import signal

import arbench.data
from arbench.data import DataError, load_audio, speech, transcripts, voices

RATE = 16_000
SHIPPED = sorted(Path(arbench.data.__file__).parent.glob("speech-*.flac"))


def tone(count: int = 1600, hz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(count) / RATE)


def write(path: Path, samples: np.ndarray | None = None, rate: int = RATE, **how: str) -> Path:
    soundfile.write(path, tone() if samples is None else samples, rate, **how)
    return path


def message(path: Path, **how: int) -> str:
    """Return the error's text after the path; the message is one line and begins with the path."""
    with pytest.raises(DataError) as caught:
        load_audio(path, **how)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert text.isprintable()
    return text.removeprefix(f"{path}: ")


class TestWhatShips:
    def test_is_a_minute_of_mono_16_khz_and_small(self) -> None:
        audio = speech()
        assert audio.rate == RATE
        assert audio.samples.dtype == np.float32
        assert audio.samples.ndim == 1
        assert 55 <= audio.seconds <= 65
        assert sum(path.stat().st_size for path in SHIPPED) < 2_000_000
        for path in SHIPPED:
            info = soundfile.info(path)
            assert (info.channels, info.samplerate, info.subtype) == (1, RATE, "PCM_16")

    def test_joins_the_voices_in_reading_order(self) -> None:
        clips = voices()
        assert len(clips) >= 4
        assert list(clips) == sorted(clips)
        joined = np.concatenate([clip.samples for clip in clips.values()])
        np.testing.assert_array_equal(speech().samples, joined)

    @pytest.mark.parametrize("name", list(voices()))
    def test_sounds_like_speech(self, name: str) -> None:
        samples = voices()[name].samples
        assert np.abs(samples).max() == pytest.approx(0.9, abs=1e-3)
        loud = np.abs(samples[: len(samples) // 400 * 400].reshape(-1, 400)).max(axis=1) > 0.02
        assert 0.5 < loud.mean() < 0.98  # words and pauses
        hz, power = signal.welch(samples, RATE, nperseg=1024)
        in_voice_band = power[(hz >= 80) & (hz <= 4000)].sum() / power.sum()
        assert in_voice_band > 0.95
        assert power[hz < 40].sum() / power.sum() < 0.01  # no offset and no hum

    def test_every_voice_has_its_text_read_at_the_pace_of_speech(self) -> None:
        texts, clips = transcripts(), voices()
        assert list(texts) == list(clips)
        assert next(iter(texts.values())).startswith("Alice was beginning to get very tired")
        for name, text in texts.items():
            assert 10 <= len(text) / clips[name].seconds <= 20  # letters per second

    def test_voices_differ_in_pitch(self) -> None:
        pitches = sorted(pitch(clip.samples) for clip in voices().values())
        assert pitches[0] > 60
        assert pitches[-1] < 300
        assert pitches[-1] > 1.5 * pitches[0]
        assert len({round(hz / 5) for hz in pitches}) >= 4


def pitch(samples: np.ndarray) -> float:
    """Return the median over voiced frames of 64 ms of the strongest frequency between 60 and 400 Hz."""
    found = []
    for frame in samples[: len(samples) // 1024 * 1024].reshape(-1, 1024):
        correlation = signal.correlate(frame, frame)[1023:]
        lags = slice(RATE // 400, RATE // 60)
        lag = lags.start + int(correlation[lags].argmax())
        if correlation[0] > 1 and correlation[lag] > 0.5 * correlation[0]:
            found.append(RATE / lag)
    assert len(found) > 20
    return float(np.median(found))


class TestLoad:
    @pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
    def test_reads_any_sample_format(self, tmp_path: Path, subtype: str) -> None:
        audio = load_audio(write(tmp_path / "a.wav", subtype=subtype))
        assert audio.rate == RATE
        tolerance = 0.03 if subtype in ("ULAW", "ALAW") else 1 / 32768
        np.testing.assert_allclose(audio.samples, tone(), atol=tolerance)

    @pytest.mark.parametrize("endian", ["LITTLE", "BIG"])
    @pytest.mark.parametrize("count", [1, 2, 1601])
    def test_reads_both_byte_orders_and_odd_lengths(self, tmp_path: Path, endian: str, count: int) -> None:
        path = write(tmp_path / "a.wav", tone(count), subtype="PCM_U8" if count == 1 else "PCM_16")
        assert len(load_audio(path).samples) == count
        path = write(tmp_path / "b.wav", tone(count), endian=endian)
        np.testing.assert_allclose(load_audio(path).samples, tone(count), atol=1 / 32768)

    def test_reads_a_format_that_cannot_be_sought_in(self, tmp_path: Path) -> None:
        samples = load_audio(write(tmp_path / "a.wav", subtype="GSM610")).samples
        assert len(samples) == 1920  # GSM comes in blocks of 320
        assert np.corrcoef(samples[:1600], tone())[0, 1] > 0.9

    def test_reads_flac_and_a_path_given_as_text(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.flac")
        np.testing.assert_allclose(load_audio(str(path)).samples, tone(), atol=1 / 32768)

    def test_joins_a_folder_in_order_of_names(self, tmp_path: Path) -> None:
        write(tmp_path / "b.WAV", tone(30, 1000))
        write(tmp_path / "a.wav", tone(20, 500))
        (tmp_path / "notes.txt").write_text("not sound")
        expected = np.concatenate([tone(20, 500), tone(30, 1000)])
        audio = load_audio(tmp_path, at_least=50)
        np.testing.assert_allclose(audio.samples, expected, atol=1 / 32768)

    def test_takes_another_rate_when_asked(self, tmp_path: Path) -> None:
        assert load_audio(write(tmp_path / "a.wav", rate=24_000), rate=24_000).rate == 24_000

    @pytest.mark.parametrize("size", [0x7FFFF000, 0x7FFFEFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFDB, 0])
    @pytest.mark.parametrize(
        "how", [{"endian": "LITTLE"}, {"endian": "BIG"}, {"subtype": "PCM_24"}, {"subtype": "FLOAT"}]
    )
    def test_takes_a_wav_of_unknown_length_from_a_pipe(self, tmp_path: Path, size: int, how: dict[str, str]) -> None:
        path = write(tmp_path / "a.wav", **how)
        data = bytearray(path.read_bytes())
        order = ">" if how.get("endian") == "BIG" else "<"
        struct.pack_into(f"{order}I", data, data.index(b"data") + 4, size)
        struct.pack_into(f"{order}I", data, 4, min(size + 36, 0xFFFFFFFF) if size else 0)
        path.write_bytes(data)
        np.testing.assert_allclose(load_audio(path).samples, tone(), atol=1 / 32768)

    @pytest.mark.parametrize("declared", [0, 10_000])
    def test_takes_a_flac_of_unknown_length_from_a_pipe(self, tmp_path: Path, declared: int) -> None:
        path = write(tmp_path / "a.flac", tone(10_000))
        np.testing.assert_allclose(load_audio(declaring(path, declared)).samples, tone(10_000), atol=1 / 32768)


def declaring(flac: Path, samples: int) -> Path:
    """Return a FLAC file with another number of samples in its header: the low 36 bits of bytes 18 to 26."""
    data = bytearray(flac.read_bytes())
    first = int.from_bytes(data[18:26], "big") >> 36 << 36
    data[18:26] = (first | samples).to_bytes(8, "big")
    flac.write_bytes(data)
    return flac


WANTED = "wanted a mono 16000 Hz WAV file or a folder of them"


class TestRefuses:
    def test_missing(self, tmp_path: Path) -> None:
        assert message(tmp_path / "no.wav") == f"does not exist; {WANTED}"

    def test_empty_file(self, tmp_path: Path) -> None:
        path = tmp_path / "a.wav"
        path.touch()
        assert message(path) == f"is empty; {WANTED}"

    def test_folder_without_wavs(self, tmp_path: Path) -> None:
        (tmp_path / "a.mp3").write_bytes(b"x")
        assert message(tmp_path) == f"is a folder without .wav files; {WANTED}"

    def test_folder_named_like_a_wav_inside_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "a.wav").mkdir()
        with pytest.raises(DataError, match=r"a\.wav: is a folder; wanted a mono"):
            load_audio(tmp_path)

    def test_pipe(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "a.wav")
        assert message(tmp_path / "a.wav") == f"is not a regular file; {WANTED}"

    @pytest.mark.parametrize("endian", ["LITTLE", "BIG"])
    @pytest.mark.parametrize("kept", [45, 1000, 3243])
    def test_truncated_wav(self, tmp_path: Path, kept: int, endian: str) -> None:
        path = write(tmp_path / "a.wav", endian=endian)
        whole = path.read_bytes()
        assert len(whole) == 3244
        path.write_bytes(whole[:kept])
        assert message(path) == (
            f"is truncated: its header declares 3200 bytes of sound, it has {kept - 44}; wanted the complete file"
        )

    def test_truncated_wav_behind_another_chunk(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.wav")
        whole = path.read_bytes()
        path.write_bytes(whole[:36] + b"LIST\x03\0\0\0abc\0" + whole[36:-10])
        assert "declares 3200 bytes of sound, it has 3190" in message(path)

    @pytest.mark.parametrize("kept", [4, 11, 20, 40])
    def test_wav_cut_within_its_header(self, tmp_path: Path, kept: int) -> None:
        path = write(tmp_path / "a.wav")
        path.write_bytes(path.read_bytes()[:kept])
        text = message(path)
        assert text.startswith("is not readable as audio (")
        assert text.endswith(WANTED)

    def test_truncated_flac(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.flac")
        path.write_bytes(path.read_bytes()[:-100])
        assert message(path) == f"is not readable as audio (flac decoder lost sync); {WANTED}"

    def test_flac_without_its_first_block(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.flac", tone(10_000))
        whole = path.read_bytes()
        first = whole.index(b"\xff\xf8")
        path.write_bytes(whole[:first] + whole[whole.index(b"\xff\xf8", first + 2) :])
        assert "is truncated: its header declares 10000 samples, it has 5904;" in message(path)

    @pytest.mark.parametrize("declared", [1601, 2**36 - 1])
    def test_flac_that_declares_more_than_it_has(self, tmp_path: Path, declared: int) -> None:
        path = declaring(write(tmp_path / "a.flac"), declared)
        assert message(path) == (
            f"is truncated: its header declares {declared} samples, it has 1600; wanted the complete file"
        )

    @pytest.mark.parametrize("content", [b"RIFF", b"hello, world\n" * 99, bytes(4096)])
    def test_not_audio(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "a.wav"
        path.write_bytes(content)
        text = message(path)
        assert text.startswith("is not readable as audio (")
        assert text.endswith(WANTED)

    def test_another_container(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.ogg", format="OGG", subtype="VORBIS")
        assert message(path) == f"is OGG (OGG Container format); {WANTED}"

    def test_stereo(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.wav", np.stack([tone(), tone()], axis=1))
        assert message(path) == "has 2 channels; wanted 1 (mix it down first)"

    def test_another_rate(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.wav", rate=22_050)
        assert message(path) == "is sampled at 22050 Hz; wanted 16000 Hz (resample it first)"

    def test_too_short(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.wav")
        load_audio(path, at_least=1600)
        assert message(path, at_least=1601) == ("is too short: 1600 samples (0.1 s); wanted at least 1601 (0.1 s)")

    def test_no_samples(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.wav", np.zeros(0))
        assert message(path) == "contains no samples; wanted audio"
        path.write_bytes(path.read_bytes() + b"LIST\x04\0\0\0INFO")  # a chunk of notes, and no sound from a pipe
        assert message(path) == "contains no samples; wanted audio"

    @pytest.mark.parametrize(("bad", "shown"), [(np.nan, "nan"), (-np.inf, "-inf")])
    def test_samples_that_are_not_numbers(self, tmp_path: Path, bad: float, shown: str) -> None:
        samples = tone()
        samples[7] = bad
        path = write(tmp_path / "a.wav", samples, subtype="FLOAT")
        assert message(path) == f"sample 7 is {shown}; wanted finite numbers"

    def test_samples_beyond_one(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.wav", 3 * tone(), subtype="FLOAT")
        assert message(path) == "samples reach 1.5; wanted within [-1, 1] (scale it down)"

    def test_a_bad_file_in_a_folder_is_named(self, tmp_path: Path) -> None:
        write(tmp_path / "a.wav")
        write(tmp_path / "b.wav", rate=8000)
        with pytest.raises(DataError, match=r"b\.wav: is sampled at 8000 Hz"):
            load_audio(tmp_path)
