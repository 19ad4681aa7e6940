"""Audio: the shipped speech, and the user's WAV files."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from arbench.data.errors import DataError, files_of, reason, require_file

RATE = 16_000
"""Sampling rate of the shipped speech, in Hz."""
_FORMATS = ("WAV", "WAVEX", "FLAC")
_OF_PIPES = (0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""Sizes in the header of a WAV that a program wrote to a pipe, before it knew the length."""
_LARGEST_BLOCK = 0xFFFF
"""Bytes of the largest block of samples; some programs round the sizes above down to whole blocks."""
_UNKNOWN = 0x7FFFFFFFFFFFFFFF
"""Number of samples that libsndfile reports for a FLAC that declares none."""
_AT_ONCE = 1 << 20
"""Samples to read at once: a header may declare more than fit in memory."""


@dataclass(frozen=True)
class Audio:
    """Mono audio: ``samples`` float32 (T,) within [-1, 1], at ``rate`` Hz."""

    samples: NDArray[np.float32]
    rate: int

    @property
    def seconds(self) -> float:
        """The duration in seconds."""
        return len(self.samples) / self.rate


def voices() -> dict[str, Audio]:
    """Return the shipped speech by voice, in reading order; see ``ORIGIN.md``."""
    return {name: load_file(file, RATE) for name, file in _files().items()}


def _files() -> dict[str, Path]:
    files = sorted(Path(__file__).parent.glob("speech-*.flac"))
    return {file.stem.removeprefix("speech-"): file for file in files}


def transcripts() -> dict[str, str]:
    """Return the text that each of ``voices`` reads, by voice: a paragraph of ``speech.txt``."""
    text = (Path(__file__).parent / "speech.txt").read_text(encoding="utf-8")
    paragraphs = [paragraph.strip() for paragraph in text.split("\n\n") if paragraph.strip()]
    return dict(zip(_files(), paragraphs, strict=True))


def speech() -> Audio:
    """Return the shipped speech: one minute at 16 kHz, five voices one after the other."""
    return _joined(list(voices().values()))


def load_audio(path: str | Path, rate: int = RATE, at_least: int = 1) -> Audio:
    """Read a WAV or FLAC file, or the ``.wav`` files of a folder, joined in order of their names.

    Args:
        path: file or folder.
        rate: required sampling rate in Hz; audio is not resampled.
        at_least: smallest total number of samples.

    Raises:
        DataError: the file is missing, empty, truncated, not audio, not mono, too short or of another rate, or has
            samples that are not finite or not within [-1, 1].
    """
    path = Path(path)
    wanted = f"a mono {rate} Hz WAV file or a folder of them"
    audio = _joined([load_file(file, rate, wanted) for file in files_of(path, ".wav", wanted)])
    if len(audio.samples) < at_least:
        have = f"{len(audio.samples)} samples ({audio.seconds:.3g} s)"
        need = f"at least {at_least} ({at_least / rate:.3g} s)"
        raise DataError(path, f"is too short: {have}; wanted {need}")
    return audio


def load_file(path: Path, rate: int, wanted: str = "a WAV file") -> Audio:
    """Read one WAV or FLAC file of any sample format; raise the errors of ``load_audio``."""
    import soundfile

    require_file(path, wanted)
    try:
        with _opened(path) as sound:
            if sound.format not in _FORMATS:
                raise DataError(path, f"is {sound.format_info}; wanted {wanted}")
            if sound.channels != 1:
                raise DataError(path, f"has {sound.channels} channels; wanted 1 (mix it down first)")
            if sound.samplerate != rate:
                raise DataError(
                    path,
                    f"is sampled at {sound.samplerate} Hz; wanted {rate} Hz (resample it first)",
                )
            promised = sound.frames
            parts = [sound.read(_AT_ONCE, dtype="float32")]
            while len(parts[-1]):
                parts.append(sound.read(_AT_ONCE, dtype="float32"))
    except (OSError, soundfile.SoundFileError) as error:
        what = reason(error).rpartition(": ")[2]
        raise DataError(path, f"is not readable as audio ({what}); wanted {wanted}") from None
    samples = np.concatenate(parts)
    if len(samples) < promised != _UNKNOWN:
        raise _truncated(path, promised, len(samples), "samples")
    _refuse_unusable(samples, path)
    return Audio(samples, rate)


def _joined(parts: list[Audio]) -> Audio:
    return Audio(np.concatenate([part.samples for part in parts]), parts[0].rate)


def _truncated(path: Path, promised: int, present: int, unit: str) -> DataError:
    return DataError(
        path,
        f"is truncated: its header declares {promised} {unit}, it has {present}; wanted the complete file",
    )


def _opened(path: Path) -> Any:
    """Return the open sound of a file, to be read in one direction only.

    libsndfile silently reads less of a WAV than its header declares, and nothing of one that declares no length.

    Raises:
        DataError: a WAV is shorter than its header declares, and was not written to a pipe.
        OSError: the file cannot be read.
        soundfile.SoundFileError: it is no audio.
    """
    import soundfile

    class Forward(soundfile.SoundFile):
        """A sound file that never seeks: it cannot where a FLAC ends before its header says."""

        def seekable(self) -> bool:
            return False

    length = path.stat().st_size
    with path.open("rb") as file:
        for name, size, order in _chunks(file):
            at = file.tell()
            if name != b"data":
                continue
            if size == 0 and not _only_chunks(file, order, length):
                file.seek(0)
                whole = bytearray(file.read())
                struct.pack_into(f"{order}I", whole, at - 4, min(length - at, 0xFFFFFFFF))
                return Forward(io.BytesIO(whole))
            if size > length - at and not any(0 <= one - size <= _LARGEST_BLOCK for one in _OF_PIPES):
                raise _truncated(path, size, length - at, "bytes of sound")
            break
    return Forward(path)


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, str]]:
    """Yield the chunks of a RIFF or RIFX WAVE file, with the file positioned at their content.

    Yields:
        The name of a chunk, its size, and the byte order as ``struct`` names it.
    """
    head = file.read(12)
    order = {b"RIFF": "<", b"RIFX": ">"}.get(head[:4])
    if order is None or head[8:] != b"WAVE":
        return
    while len(head := file.read(8)) == 8:
        name, size = struct.unpack(f"{order}4sI", head)
        content = file.tell()
        yield name, size, order
        file.seek(content + size + size % 2)


def _only_chunks(file: BinaryIO, order: str, length: int) -> bool:
    """Return whether the rest of a file consists of whole chunks, as it does where the sound before it is empty."""
    while (at := file.tell()) < length:
        head = file.read(8)
        if len(head) < 8:
            return False
        name, size = struct.unpack(f"{order}4sI", head)
        if not (name.isascii() and name.decode().isprintable()):
            return False
        if at + 8 + size > length:
            return False
        file.seek(at + 8 + size + size % 2)
    return True


def _refuse_unusable(samples: NDArray[np.float32], path: Path) -> None:
    if samples.size == 0:
        raise DataError(path, "contains no samples; wanted audio")
    bad = ~np.isfinite(samples)
    if bad.any():
        first = int(bad.argmax())
        raise DataError(path, f"sample {first} is {samples[first]}; wanted finite numbers")
    peak = float(np.abs(samples).max())
    if peak > 1:
        raise DataError(path, f"samples reach {peak:.4g}; wanted within [-1, 1] (scale it down)")
