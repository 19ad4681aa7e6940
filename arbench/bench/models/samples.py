"""Samples of a model: events drawn by one method and verified, with their log-probabilities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from arbench.bench.case import CaseKey
from arbench.bench.models.heard import Heard, heard
from arbench.border import gallery
from arbench.border.shown import Shown
from arbench.models import Context, Source


@dataclass(frozen=True, eq=False)
class Likeliest:
    """Translations without chance: the likeliest symbol at each position, given those before it.

    Attributes:
        x: the events (B, N).
        joint: log-probability (B,) of all elements of each event, in nats, float64.
        elements: number of elements (B,) that it is of.
    """

    x: Tensor
    joint: Tensor
    elements: Tensor


@dataclass(frozen=True, eq=False, repr=False)
class Samples:
    """Events that a model drew, beside real ones with the same conditioning.

    Attributes:
        source: the model.
        case: what was drawn: model, method, N, number of events B.
        seed: seed of weights, noise and data; row numbers count from 0.
        x: the events (B, N), as the model draws them.
        real: real events (B, N).
        context: conditioning of both.
        log_prob: log-probability (B,) in nats of what each event shows, given its conditioning, float64; a log-density
            where elements are real. None where it is intractable: see ``Source.intractable``.
        joint: log-probability (B,) of all elements of each event; ``log_prob`` where that is known.
        elements: number of elements (B,) that the log-probability is of: all, or those before the padding.
        translations: where events translate their conditioning, the likeliest ones beside the draws; else None.
        weights: name or path of the trained weights, or "random".
        data: path of the user's data, or "shipped".
        held_out: whether the conditioning and the real events are from the part of the data that training holds out, or
            would hold out where the weights are not from a checkpoint.
    """

    source: Source
    case: CaseKey
    seed: int
    x: Tensor
    real: Tensor
    context: Context
    log_prob: Tensor | None
    joint: Tensor
    elements: Tensor
    weights: str
    data: str
    held_out: bool
    translations: Likeliest | None = None

    @property
    def shown(self) -> Sequence[Shown]:
        """The events as pictures, sounds or texts."""
        return self.source.shown(self.x)

    @property
    def shown_real(self) -> Sequence[Shown]:
        """The real events as pictures, sounds or texts."""
        return self.source.shown(self.real)

    @property
    def told(self) -> Mapping[str, Sequence[Shown | int]]:
        """The conditioning as people read or see it, by name: one entry for each event."""
        return self.source.told(self.context)

    @property
    def bits(self) -> Tensor:
        """Bits per element (B,) of each event; of a density times the width of a level, where the model has one."""
        cell = self.source.cell
        nats = self.joint + (self.elements * math.log(cell) if cell else 0.0)
        return -nats / self.elements / math.log(2)

    @property
    def heard(self) -> list[Heard] | None:
        """Level and long-term spectrum of each event beside those of real ones; None where events are no sounds."""
        return heard(self.shown, self.shown_real)

    def write(self, folder: str | Path) -> list[Path]:
        """Write the events as pictures, sounds or texts, and ``samples.jsonl``; see ``arbench.border.gallery``.

        Returns:
            The files, those to open first at the beginning.

        Raises:
            FileExistsError: the folder holds samples.
            OSError: a file cannot be written.
        """
        found = self.translations
        translations = None if found is None else self.source.shown(found.x)
        return gallery.write(Path(folder), self.shown, self.shown_real, self.told, self.lines(), translations)

    def __repr__(self) -> str:
        bits = float(self.bits.mean())
        return f"<{self.case.batch} samples of {self.case.id}: {bits:.3f} bits per {self.case.element}>"

    def lines(self) -> list[dict[str, Any]]:
        """Return what is known of each event, as plain data: a line of ``samples.jsonl``."""
        case, source = self.case, self.source
        same = {
            "model": case.model,
            "preset": case.preset,
            "weights": self.weights,
            "data": self.data,
            "held_out": self.held_out,
            "method": case.method,
            "dtype": case.dtype,
            "seed": self.seed,
        }
        of = {"density": not source.distribution.finite, "cell": source.cell}
        measures = [one.facts() for one in self.heard or ()] or [{}] * case.batch
        found = []
        rows = zip(self.joint, self.bits, self.elements, measures, strict=True)
        for row, (joint, bits, elements, sound) in enumerate(rows):
            size = {"element": case.element, "n": case.n, "elements": int(elements), "bits_per_element": float(bits)}
            why = {"why": source.intractable or None}
            line = {**same, "row": row, **size, **self._chance(float(joint)), **why, **of, **sound}
            if (best := self.translations) is not None:
                nats, count = float(best.joint[row]), int(best.elements[row])
                each = {"elements": count, "bits_per_element": -nats / count / math.log(2)}
                line["translation"] = {**each, **self._chance(nats)}
            found.append(line)
        return found

    def _chance(self, joint: float) -> dict[str, float | None]:
        return {"log_prob": joint} if self.log_prob is not None else {"log_prob": None, "joint_log_prob": joint}
