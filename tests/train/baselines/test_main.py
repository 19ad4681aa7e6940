from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from arbench.data import digits
from arbench.models import resolve
from arbench.train.baselines import __main__ as table


def few() -> list[table.Row]:
    return list(table.digits())


def test_held_out_digits_are_those_of_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The pixels' figure, from the division of a model and counts of its own."""
    train, held_out = (np.stack(part.pictures) for part in resolve("pixelcnn:digits").build(0).divide())
    assert len(train) + len(held_out) == len(digits())
    bits = 0.0
    for i, j in np.ndindex(8, 8):
        counts = np.bincount(train[:, i, j, 0], minlength=17) + 0.5
        bits -= np.log2(counts / counts.sum())[held_out[:, i, j, 0]].sum()
    monkeypatch.setattr(table, "rows", few)
    out = tmp_path / "rows.jsonl"
    done = CliRunner().invoke(table.main, ["--out", str(out)], catch_exceptions=False)
    assert done.exit_code == 0
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(found) == len(done.output.splitlines()) == 4
    assert found[0]["baseline"] == "independent pixels"
    assert found[0]["elements"] == held_out.size
    assert found[0]["bits"] == pytest.approx(bits / held_out.size, rel=1e-12)
    assert f"{bits / held_out.size:.3f} bits per sub-pixel" in done.output


def test_figures_of_all_recordings_are_over_all_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        table, "recording", lambda voice, train, held: [table.Row("speech", voice, "x", len(voice), len(held), "s")]
    )
    *parts, whole = table.speech()
    assert whole.part == "all"
    assert whole.elements == sum(one.elements for one in parts)
    assert whole.bits == pytest.approx(sum(len(one.part) * one.elements for one in parts) / whole.elements)
    for one, recording in zip(parts, table.voices().values(), strict=True):
        assert one.elements == len(recording.samples) - int(0.85 * len(recording.samples))
