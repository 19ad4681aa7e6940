"""Translation from the command line: a teacher, its parallel student, and a teacher distilled into itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from arbench.models import resolve
from arbench.models.weights import Decoded, read
from arbench.train import Recipe
from arbench.train.distill import opened
from arbench.train.distill.sequence import aligned_again
from arbench.train.parts import divided, scored


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "abc.tsv"
    lines = ["".join("abc"[i // 3**k % 3] for k in range(3)) for i in range(27)]
    path.write_text("".join(f"{line}\t{line[::-1].upper()}\n" for line in lines))
    return path


TINY = ["--batch", "4", "--steps", "4", "--every", "2", "--dtype", "float64"]


def test_a_student_of_translations_from_the_command_line(answer, refusal, pairs, tmp_path, monkeypatch):
    teacher, out, itself = tmp_path / "teacher", tmp_path / "student", tmp_path / "itself"
    levels = "levels=8,source_levels=8"
    data = ("--data", pairs, *TINY)
    found = answer("train", "--model", f"nmt_teacher:tiny,{levels}", *data, "--n", 5, "--out", teacher)
    assert (found.code, found.err) == (0, "")
    exact = json.loads((teacher / "translation.json").read_text())["greedy"]
    assert f"held-out translations, greedy decoding: {exact['exact']:.2%} of 3 exact" in found.out
    student = ("distill", "--teacher", teacher, "--student", "parallel_nmt:tiny,levels=8", *data, "--n", 16)
    found = answer(*student, "--out", out)
    assert (found.code, found.err) == (0, "")
    figures = json.loads((out / "distilled.json").read_text())
    assert figures["teacher_exact"] == exact
    assert list(figures["student_exact"]) == ["argmax", "average", "noisy parallel"]
    assert figures["student_exact"] == json.loads((out / "translation.json").read_text())
    assert figures["encoder"] == "the teacher's"
    stated = {one.decoding: (one.pairs, one.equal) for one in read(out / "model.safetensors").quality.translations}
    assert stated == {name: (one["pairs"], one["equal"]) for name, one in figures["student_exact"].items()}
    assert [*stated] == ["argmax", "average", "noisy parallel"]
    (own,) = read(teacher / "model.safetensors").quality.translations
    assert own == Decoded("greedy", exact["pairs"], exact["equal"])
    said = read(out / "model.safetensors")
    model, known = resolve(f"parallel_nmt@{out}").build(), opened(str(teacher))
    parts = divided(model, model.load_data(str(pairs), {}), "abc")
    aligned = aligned_again(out, parts.held_out, model, known, Recipe.of(said.recipe))
    assert aligned is not None
    again = scored(model, replace(parts, held_out=aligned), Recipe.of(said.recipe))
    assert again.bits == pytest.approx(said.quality.bits, rel=1e-5)  # the folder keeps what its bits are given
    assert again.elements == said.quality.elements
    assert aligned_again(tmp_path, parts.held_out, model, known, Recipe.of(said.recipe)) is None
    before = (out / "model.safetensors").read_bytes()
    (out / "lessons.safetensors").unlink()  # the teacher says the same again
    assert answer(*student, "--out", out, "--resume").code == 0
    assert (out / "model.safetensors").read_bytes() == before
    with monkeypatch.context() as patch:  # a teacher that never ends
        endless = lambda model, part, numbers, n: (np.ones(n, np.int64) for _ in numbers)  # noqa: E731
        patch.setattr("arbench.train.distill.lessons.decoded", endless)
        found = answer(*student, "--out", tmp_path / "none")
    assert (found.code, found.err.count("\n")) == (1, 1)
    assert "no translations of the teacher to learn from end within the events of student and teacher" in found.err
    same = ("distill", "--teacher", teacher, "--student", f"nmt_teacher:tiny,{levels}", *data, "--n", 5)
    found = answer(*same, "--out", itself)
    assert (found.code, found.err) == (0, "")
    assert "teacher, greedy decoding" in found.out
    assert "--samples: the distillation of a nmt_teacher has no such setting" in (
        refusal(*same, "--samples", 3, "--out", tmp_path / "no")
    )
    assert "--samples must be at least 1, got 0" in refusal(*student, "--samples", 0, "--out", tmp_path / "no")
