"""Listen by measure: level, dynamics and spectrum of sounds that models draw, beside real ones and white noise.

    python benchmarks/trained/listen.py MODEL ... [--out reports/trained/sounds.jsonl] [--keep FOLDER]

MODEL is a model of audio, with random weights or trained ones, as for ``arbench sample``. Each draws clips. The real
ones beside them are the beginnings of what training holds out of each recording, one a voice, so that none overlaps
another. A line a clip is written; those of models that are not named stay. Of each clip:

- its level, of the root mean square, and its peak, in dB of full scale;
- its dynamics: the level that a tenth of its frames of 20 ms exceed, over the one that nine tenths exceed. Speech has
  pauses and stressed syllables, stationary noise has neither;
- its spectrum: the power of each octave as a fraction of the whole, and how far that is from real speech and from white
  noise: the mean absolute difference in dB over octaves. A real clip is compared with the spectrum of the clips of all
  other voices together; a drawn one with the same sets, each without one voice: its distance is the mean over them.

An octave that is weaker than the whole by ``RANGE_DB`` counts as being so weak. ``readme.py`` makes the table.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray

from arbench.bench.models.drawing import Drawing
from arbench.bench.options import PlanError
from arbench.border.shown import Sound
from arbench.models import Source
from arbench.train.events import event

CENTRES_HZ = (62.5, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)
"""Centres of the octaves; the highest is cut at half of the rate."""
RANGE_DB = 60.0
FRAME_S = 0.02
LEAST = 2
"""Recordings that are needed to leave one out."""
Spectrum = NDArray[np.float64]


def octaves(sounds: Sequence[Sound]) -> Spectrum:
    """Return the power of each octave over that of all octaves, in dB, of sounds of one rate; silence raises."""
    rate = sounds[0].rate
    power = np.zeros(len(CENTRES_HZ))
    for sound in sounds:
        samples = np.asarray(sound.samples, np.float64)
        lines = np.abs(np.fft.rfft(samples - samples.mean())) ** 2
        power += _summed(lines, np.fft.rfftfreq(len(samples), 1 / rate))
    if not power.any():
        raise ValueError("silence has no spectrum")
    return np.maximum(10 * np.log10(np.maximum(power / power.sum(), 1e-30)), -RANGE_DB)


def white(rate: float) -> Spectrum:
    """Return the same of white noise: each octave has twice the power of the one below it."""
    frequencies = np.linspace(0, rate / 2, 2**16)
    power = _summed(np.ones_like(frequencies), frequencies)
    return np.asarray(10 * np.log10(power / power.sum()))


def _summed(power: NDArray[np.float64], frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    edges = [*(centre / 2**0.5 for centre in CENTRES_HZ), CENTRES_HZ[-1] * 2**0.5]
    return np.array([power[(frequencies >= low) & (frequencies < high)].sum() for low, high in pairwise(edges)])


def distance(one: Spectrum, other: Spectrum) -> float:
    """Return the mean absolute difference in dB over octaves."""
    return float(np.abs(one - other).mean())


def level(samples: NDArray[np.floating]) -> float:
    """Return the level in dBFS of the root mean square; at least -200."""
    return float(10 * np.log10(max(float(np.square(samples, dtype=np.float64).mean()), 1e-20)))


def dynamics(sound: Sound) -> float:
    """Return the level that a tenth of the frames exceed, over the one that nine tenths exceed, in dB."""
    size = round(FRAME_S * sound.rate)
    frames = [sound.samples[at : at + size] for at in range(0, len(sound.samples) - size + 1, size)]
    low, high = np.quantile([level(frame) for frame in frames], [0.1, 0.9])
    return float(high - low)


def measured(sound: Sound, sets: Sequence[Sequence[Sound]]) -> dict[str, object]:
    """Return what is known of a clip.

    Args:
        sound: the clip.
        sets: sets of real clips that it is compared with, each as a whole.
    """
    own = octaves([sound])
    return {
        "seconds": len(sound.samples) / sound.rate,
        "level_dbfs": round(level(sound.samples), 2),
        "peak_dbfs": round(float(20 * np.log10(max(np.abs(sound.samples).max(), 1e-10))), 2),
        "dynamics_db": round(dynamics(sound), 2),
        "octaves_db": {f"{centre:g}": round(db, 2) for centre, db in zip(CENTRES_HZ, own.tolist(), strict=True)},
        "from_real_db": round(float(np.mean([distance(own, octaves(one)) for one in sets])), 2),
        "from_white_db": round(distance(own, white(sound.rate)), 2),
    }


def voices(source: Source, n: int, seed: int) -> list[Sound]:
    """Return a real clip of ``n`` samples of each recording that is as long, from what training holds out."""
    _, held_out = source.divide(None)
    found: dict[int, Sound] = {}
    for piece in source.pieces(held_out, n):
        if piece.n == n and piece.part not in found:
            (found[piece.part],) = source.shown(event(source, n, [0], seed, piece.data)[0])
    if len(found) < LEAST:
        raise click.ClickException(f"only {len(found)} recordings have {n:,} samples; choose fewer --seconds")
    return [*found.values()]


def without_one(clips: Sequence[Sound]) -> list[list[Sound]]:
    """Return the sets of all clips but one."""
    return [[*clips[:at], *clips[at + 1 :]] for at in range(len(clips))]


def lines(spec: str, count: int, seconds: float, seed: int, method: str | None, keep: Path | None) -> list[dict]:
    """Return a line for each clip that a model draws, and for each real one beside it."""
    source = Drawing(spec, count=1, n=64, seed=seed, method=method).source
    if not source.rate_hz:
        raise click.ClickException(f"{spec} is no model of audio")
    n = round(seconds * source.rate_hz)
    real = voices(source, n, seed)
    found = Drawing(spec, count=count, n=n, seed=seed, method=method).draw()
    if keep is not None:
        found.write(keep / spec.replace(":", "-").replace("@", "-"))
    drawn = [one for one in found.shown if isinstance(one, Sound)]
    sets = without_one(real)
    return [
        *({"model": spec, "clip": at, "seed": seed, **measured(one, sets)} for at, one in enumerate(drawn)),
        *(
            {"model": f"real, beside {spec}", "clip": at, "seed": seed, **measured(one, [others])}
            for at, (one, others) in enumerate(zip(real, sets, strict=True))
        ),
    ]


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--count", type=click.IntRange(1), default=4, help="Clips of each model.")
@click.option("--seconds", type=click.FloatRange(0.1), default=1.0, help="Length of a clip.")
@click.option("--seed", type=int, default=0, help="Seed of the noise, and of the random weights.")
@click.option("--method", help="Sampling method, as for arbench sample.  [default: the fastest exact one]")
@click.option("--keep", type=click.Path(path_type=Path), help="Folder to write the sounds into.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports/trained/sounds.jsonl"))
def main(
    models: tuple[str, ...], count: int, seconds: float, seed: int, method: str | None, keep: Path | None, out: Path
) -> None:
    """Measure clips of MODELS, and merge the lines into the file."""
    torch.set_num_threads(1)
    known = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()] if out.exists() else []
    for spec in models:
        try:
            found = lines(spec, count, seconds, seed, method, keep)
        except PlanError as error:
            raise click.ClickException(str(error)) from None
        known = [line for line in known if line["model"] not in {one["model"] for one in found}] + found
        for line in found:
            click.echo(
                f"{line['model']}, clip {line['clip']}: {line['level_dbfs']:.1f} dBFS, peak {line['peak_dbfs']:.1f}, "
                f"dynamics {line['dynamics_db']:.1f} dB; spectrum {line['from_real_db']:.1f} dB from real, "
                f"{line['from_white_db']:.1f} from white"
            )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("".join(json.dumps(line) + "\n" for line in known), encoding="utf-8")


if __name__ == "__main__":
    main()
