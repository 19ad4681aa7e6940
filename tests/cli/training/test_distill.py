"""arbench distill: a student's checkpoint that names its teacher, and refusals before any work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from arbench.models import resolve
from arbench.models.weights import Data, read

SETTINGS = ["--steps", 4, "--every", 2, "--n", 24, "--eval-n", 40, "--batch", 2, "--dtype", "float64"]
TEACHER = "wavenet:tiny_gaussian,loss=logistic_mixture,components=2"
STUDENT = "parallel_wavenet:tiny"


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> Path:
    """Return a folder with the recording ``tone.wav``."""
    folder = tmp_path_factory.mktemp("distill")
    noise = np.random.default_rng(0).normal(0, 0.02, 600)
    soundfile.write(folder / "tone.wav", np.sin(np.arange(600) / 4) * 0.2 + noise, 16000)
    return folder


@pytest.fixture
def taught(room, answer):
    """Return a function that trains a teacher once, and returns its folder."""

    def train(spec: str) -> Path:
        out = room / spec.replace(":", "-")
        if not out.exists():
            words = ("train", "--model", spec, *SETTINGS, "--data", room / "tone.wav", "--out", out)
            found = answer(*words)
            assert found.code == 0, found
        return out

    return train


def test_a_student_s_checkpoint_names_its_teacher(answer, taught, room, tmp_path):
    teacher, out = taught(TEACHER), tmp_path / "run"
    words = ["distill", "--teacher", teacher, "--student", STUDENT, *SETTINGS, "--samples", 3]
    words += ["--data", room / "tone.wav", "--out", out]
    found = answer(*words)
    assert (found.code, found.err) == (0, ""), found
    digest = resolve(f"wavenet@{teacher}").trained.sha256
    spec = f"{TEACHER}@wavenet-tiny_gaussian-loss-logistic_mixture-components-2-{digest[:8]}"
    lines = found.out.splitlines()
    assert lines[0].startswith(f"{spec} teaches {STUDENT}, ")
    assert [line.split(":")[0] for line in lines[1:3]] == ["step 2 of 4", "step 4 of 4"]
    assert all(", divergence " in line for line in lines[1:3])
    said = read(out / "model.safetensors")
    assert (said.model, said.preset, said.teacher) == ("parallel_wavenet", "tiny", spec)
    assert said.quality.held_out
    assert said.quality.elements == 90
    figures = json.loads((out / "distilled.json").read_text())
    assert figures["student_bits"] == said.quality.bits
    own = read(teacher / "model.safetensors").quality.bits
    assert figures["teacher_bits"] == pytest.approx(own, rel=1e-6)  # weights are read in float32
    assert (figures["samples"], figures["power"], figures["teacher_sha256"]) == (3, 1.0, digest)
    assert f"student {figures['student_bits']:.3f}, teacher {figures['teacher_bits']:.3f} bits per" in found.out
    assert figures["divergence_bits"] > 0
    assert 0 < figures["power_loss"] < 1
    before = (out / "model.safetensors").read_bytes()
    assert answer(*words, "--resume").code == 0
    assert (out / "model.safetensors").read_bytes() == before
    changed = answer(*words, "--resume", "--power", 3)
    assert changed.code == 2
    assert "the run has power 1.0, not 3.0" in changed.err


def test_a_run_is_not_resumed_with_another_teacher(answer, taught, room, tmp_path):
    words = ["distill", "--student", STUDENT, *SETTINGS, "--data", room / "tone.wav", "--out", tmp_path / "run"]
    assert answer(*words, "--teacher", taught(TEACHER)).code == 0
    found = answer(*words, "--teacher", taught(f"{TEACHER},layers=2"), "--resume")
    assert found.code == 2
    assert "the run has teacher " in found.err


@pytest.mark.parametrize(
    ("teacher", "words", "said"),
    [
        (
            "wavenet:tiny",
            "",
            "its elements are levels, and a student's density needs a continuous law",
        ),
        (
            f"{TEACHER},local=0",
            "",
            "it has local 0, and the student 3; choose a preset of the student with local=0",
        ),
        (f"{TEACHER},hop=5", "", "it has hop 5, and the student 3; choose a preset of the student with hop=5"),
        (TEACHER, "--student parallel_wavenet:tiny,rate_hz=8000.0", "it has rate_hz 16000, and the student 8000"),
        (
            TEACHER,
            "--student wavenet:tiny",
            "--student wavenet: no distillation teaches it; name one of parallel_wavenet, parallel_nmt, nmt_teacher",
        ),
        (TEACHER, "--samples 0", "--samples must be at least 1, got 0"),
        (TEACHER, "--power -1", "--power must be at least 0, got -1.0"),
        (TEACHER, "--steps 0", "--steps must be at least 1, got 0"),
        (TEACHER, "--resume", "has no training run to resume; leave --resume out to start one"),
        (TEACHER, "--data none.wav", "none.wav: does not exist"),
    ],
)
def test_wrong_pairs_and_settings_are_one_line_and_leave_nothing(refusal, taught, room, tmp_path, teacher, words, said):
    out = tmp_path / "run"
    given = ["--teacher", taught(teacher), *SETTINGS, "--data", room / "tone.wav", "--out", out, *words.split()]
    student = [] if "--student" in given else ["--student", STUDENT]
    assert said in refusal("distill", *given, *student)
    assert not out.exists()


def test_an_unfinished_student_states_its_divergence(answer, taught, room, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    teacher, out = taught(TEACHER), tmp_path / "run"
    monkeypatch.setattr("arbench.train.run.scored", stop)
    words = ["--student", STUDENT, *SETTINGS, "--data", room / "tone.wav", "--out", out]
    assert answer("distill", "--teacher", teacher, *words).code == 130
    said = read(out / "model.safetensors").quality
    assert (said.unit, said.held_out) == (
        "bits of divergence from the teacher per audio sample, plus 1 times the power loss",
        False,
    )


def test_a_student_teaches_no_student(refusal, answer, taught, room, tmp_path):
    given = ["--student", STUDENT, *SETTINGS, "--data", room / "tone.wav"]
    first = tmp_path / "first"
    assert answer("distill", *given, "--teacher", taught(TEACHER), "--out", first).code == 0
    said = refusal("distill", *given, "--teacher", first, "--out", tmp_path / "run")
    assert "a ParallelWaveNet is a student itself; name a model that reads audio" in said


def test_a_teacher_of_text_teaches_no_sound(refusal, answer, tmp_path):
    text = tmp_path / "fox.txt"
    text.write_text("the quick brown fox jumps over the lazy dog; " * 20)
    lstm = tmp_path / "lstm"
    assert answer("train", "--model", "lstm:tiny", *SETTINGS, "--prefix", 0, "--data", text, "--out", lstm).code == 0
    said = refusal("distill", "--teacher", lstm, "--student", STUDENT, *SETTINGS, "--out", tmp_path / "run")
    assert "is no model of audio, and the student is" in said


def test_a_teacher_of_other_data_may_have_heard_what_is_held_out(refusal, taught, tmp_path):
    said = refusal("distill", "--teacher", taught(TEACHER), "--student", STUDENT, *SETTINGS, "--out", tmp_path / "run")
    assert "was trained on other data (tone), and the held-out part may be among it; give --data as its" in said


def test_a_teacher_without_a_checkpoint(refusal, tmp_path):
    out = ["--student", STUDENT, "--out", tmp_path / "run"]
    assert "none" in refusal("distill", "--teacher", tmp_path / "none.safetensors", *out)
    assert "no trained weights 'nowhere' of wavenet ship" in refusal(
        "distill", "--teacher", "wavenet:teacher@nowhere", *out
    )


def test_a_student_does_not_learn_from_data_alone(refusal, tmp_path):
    said = refusal("train", "--model", STUDENT, "--out", tmp_path / "run")
    assert "reads noise, which real data does not show; teach it with arbench distill --student" in said


def test_the_name_of_the_teachers_data_is_what_to_give(refusal, shipping, tmp_path):
    shipping("nmt_teacher:tiny", "numbers", data=Data("numbers", "0" * 64))
    said = refusal(
        "distill", "--teacher", "nmt_teacher:tiny@numbers", "--student", "parallel_nmt:tiny", "--out", tmp_path
    )
    assert said.endswith(
        "was trained on other data (numbers), and the held-out part may be among it; give --data numbers"
    )
