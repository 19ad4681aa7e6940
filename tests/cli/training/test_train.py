"""arbench train: a checkpoint that says what it is, and refusals before any work."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from arbench.cli.train import recipe_of
from arbench.models import resolve
from arbench.models.weights import Quality, load, read, write
from arbench.train import measured

SETTINGS = "--steps 6 --every 2 --n 16 --eval-n 4000 --prefix 0 --batch 2 --dtype float64"
TINY = ("--model", "lstm:tiny", *SETTINGS.split())


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "fox.txt"
    path.write_text("the quick brown fox jumps over the lazy dog; " * 20)
    return path


def test_it_leaves_a_checkpoint_with_its_held_out_bits(answer, text, tmp_path):
    out = tmp_path / "run"
    found = answer("train", *TINY, "--data", text, "--out", out)
    assert (found.code, found.err) == (0, "")
    assert [line.split(":")[0] for line in found.out.splitlines()] == (
        ["lstm", "step 2 of 6", "step 4 of 6", "step 6 of 6", "held out", "checkpoint"]
    )
    said = read(out / "model.safetensors")
    assert (said.model, said.preset, said.data.name, said.seed) == ("lstm", "tiny", "fox", 0)
    assert said.command == f"arbench train {' '.join(TINY)} --data {text}"
    chosen = resolve("lstm:tiny")
    assert said.config == dict(chosen.config)
    model = chosen.build(5, torch.float64)
    load(model, out / "model.safetensors")
    _, held_out = model.divide(text.read_text())
    again = measured(model, held_out, 4000)
    assert said.quality.held_out
    assert (said.quality.bits, said.quality.elements) == (again.bits, again.elements)
    assert f"held out: {again.bits:.3f} bits per byte of 4 levels over {again.elements}" in found.out
    parts = [json.loads(line) for line in (out / "held_out.jsonl").read_text().splitlines()]
    assert sum(part["bits"] for part in parts) / sum(part["elements"] for part in parts) == again.bits
    assert {path.name for path in out.iterdir()} >= {"curve.svg", "curve.png", "curve.jsonl", "state.safetensors"}


def test_a_run_in_the_folder_is_continued_or_left_alone(answer, refusal, text, tmp_path):
    out = tmp_path / "run"
    assert answer("train", *TINY, "--data", text, "--out", out).code == 0
    before = (out / "model.safetensors").read_bytes()
    assert "holds a training run; continue it with --resume, or choose another folder" in (
        refusal("train", *TINY, "--data", text, "--out", out)
    )
    assert answer("train", *TINY, "--data", text, "--out", out, "--resume").code == 0
    assert (out / "model.safetensors").read_bytes() == before
    text.write_text("another text, " * 50)
    found = answer("train", *TINY, "--data", text, "--out", out, "--resume")
    assert found.code == 2
    assert "the run has data" in found.err
    assert (out / "model.safetensors").read_bytes() == before


def test_the_option_that_was_changed_is_named_and_not_what_follows_from_it(answer, text, tmp_path):
    words = ["train", "--model", "lstm:tiny", "--n", "16", "--eval-n", "4000", "--batch", "2", "--data", text]
    words += ["--out", tmp_path / "run"]
    assert answer(*words, "--steps", "10").code == 0
    assert (
        "the run has recipe steps 10, not 20; resume with the options"
        in answer(*words, "--steps", "20", "--resume").err
    )


@pytest.mark.parametrize(("rate", "nothing"), [("1e20", True), ("0.05", False)])
def test_weights_that_guess_worse_than_no_model_are_said(answer, text, tmp_path, rate, nothing):
    found = answer("train", *TINY, "--data", text, "--out", tmp_path / "run", "--lr", rate, "--average", "0")
    assert found.code == 0
    said = "the model has learnt nothing: if all levels were equally likely, it would be 2.000; lower --lr, or raise"
    assert (said in found.out) is nothing
    assert max(map(len, found.out.splitlines())) < 300
    assert ("e+" in found.out) is nothing


def test_a_loss_that_is_no_number_ends_with_one_line(answer, text, tmp_path):
    found = answer("train", *TINY, "--data", text, "--out", tmp_path / "run", "--lr", "1e300", "--average", "0")
    assert found.code == 1
    assert found.err.count("\n") == 1
    assert "lower --lr or --clip" in found.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--model lstm:tiny --steps 0", "--steps must be at least 1, got 0"),
        ("--model lstm:tiny --eval-n 8 --prefix 8", "--prefix must be below the 8 elements of a window, got 8"),
        ("--model lstm:tiny --eval-n 0", "--eval-n must be at least 1, got 0"),
        (f"--model lstm:tiny --seed {2**70}", "--seed must be between 0 and 2^63 - 1"),
        ("--model transformer:tiny --n 300", "an event has at most 256 elements, the learned positions"),
        ("--model transformer:tiny --n 16 --eval-n 20", "--eval-n 20: events of 16 elements train no later positions"),
        ("--model lstm:tiny --lr nan", "--lr must be a positive number, got nan"),
        ("--model lstm:tiny --threads 0", "--threads must be at least 1, got 0"),
        ("--model lstm:none", "model 'lstm' has no preset 'none'"),
        ("--model lstm:tiny --data none.txt", "none.txt: does not exist; wanted a UTF-8 text file"),
        ("--model pixelcnn:digits --n 60", "no square has 60 pixels; near: 49, 64"),
        ("--model pixelcnn:digits --n 81", "images: none is 9x9 pixels or larger; the largest square is 8"),
        ("--model transformer:word_from_digit", "WordFromDigit does not divide its data"),
        (
            "--model pixelcnn:tiny",
            "images: 1 channel per pixel, and the model has 3; choose another preset, add ,colours=1",
        ),
        ("--model lstm:tiny --data numbers", "numbers: these are sentence pairs; wanted text, or ./numbers for a file"),
        ("--model wavenet:tiny --data mnist", "mnist: these are images; wanted audio, or ./mnist for a file"),
        ("--model lstm:tiny --n 999999", "an event needs 999999; choose a smaller --n"),
        ("--model lstm:tiny --resume", "has no training run to resume; leave --resume out to start one"),
    ],
)
def test_wrong_use_is_one_line_and_leaves_nothing(refusal, tmp_path, words, said):
    out = tmp_path / "run"
    assert said in refusal("train", *words.split(), "--out", out)
    assert not out.exists()


def test_a_run_is_resumed_beside_its_own_checkpoint_alone(answer, text, tmp_path):
    out = tmp_path / "run"
    assert answer("train", *TINY, "--data", text, "--out", out).code == 0
    kept = (out / "model.safetensors").rename(tmp_path / "kept")
    gone = answer("train", *TINY, "--data", text, "--out", out, "--resume")
    assert (gone.code, gone.err.count("\n")) == (2, 1)
    assert gone.err.rstrip().endswith("; start another run")
    other = tmp_path / "other"
    assert answer("train", "--model", "lstm:tiny,width=6", *TINY[2:], "--data", text, "--out", other).code == 0
    (other / "model.safetensors").rename(out / "model.safetensors")
    found = answer("train", *TINY, "--data", text, "--out", out, "--resume")
    assert found.code == 2
    assert "model.safetensors: the run has width 6, and the model now 7; start another run" in found.err
    kept.rename(out / "model.safetensors")
    assert answer("train", *TINY, "--data", text, "--out", out, "--resume").code == 0
    wrong = answer("train", *TINY, "--dtype", "float32", "--data", text, "--out", out, "--resume")
    assert wrong.code == 2
    assert "the run has dtype float64, not float32" in wrong.err


def test_a_checkpoint_from_after_the_state_says_its_own_step(answer, text, tmp_path):
    out = tmp_path / "run"
    assert answer("train", *TINY, "--data", text, "--out", out).code == 0
    path, model = out / "model.safetensors", resolve("lstm:tiny").build(8, torch.float64)
    said = read(path)
    write(model, path, replace(said, quality=Quality(1.25, "bits per byte, validation part", 0, False), steps=5))
    found = answer("train", *TINY, "--data", text, "--out", out, "--resume")
    assert (found.code, found.err) == (0, "")
    assert "best validation 1.250 at step 5" in found.out
    again = read(path)
    assert (again.steps, again.quality.held_out) == (5, True)
    assert again.quality.bits != said.quality.bits


def test_a_full_disk_is_one_line(answer, text, tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("arbench.train.state.write_bytes", full)
    found = answer("train", *TINY, "--data", text, "--out", tmp_path / "run")
    said = (
        f"arbench: --out {tmp_path}/run: cannot be written (No space left on device); what was written before stays\n"
    )
    assert (found.code, found.err) == (70, said)


def test_a_batch_that_initialises_no_flow_is_refused(answer, tmp_path):
    found = answer("train", "--model", "maf:tiny", "--n", 64, "--batch", 1, "--steps", 2, "--out", tmp_path / "run")
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert "the first batch: " in found.err
    assert not (tmp_path / "run").exists()


def test_an_interrupted_run_says_whether_it_can_go_on(answer, text, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("arbench.train.loop._update", stop)
        found = answer("train", *TINY, "--data", text, "--out", tmp_path / "run")
    assert (found.code, found.err) == (130, "arbench: interrupted; before its first evaluation, so start it again\n")
    monkeypatch.setattr("arbench.train.run.scored", stop)
    found = answer("train", *TINY, "--data", text, "--out", tmp_path / "run")
    assert (found.code, found.err) == (130, "arbench: interrupted; continue with the same command and --resume\n")
    said = read(tmp_path / "run" / "model.safetensors").quality
    assert (said.unit, said.elements, said.held_out) == ("bits per byte of 4 levels, validation part", 0, False)


def test_a_file_called_like_named_data_is_not_these(answer, text, tmp_path):
    path = text.rename(tmp_path / "numbers.txt")
    assert answer("train", *TINY, "--data", path, "--out", tmp_path / "run").code == 0
    assert read(tmp_path / "run" / "model.safetensors").data.name == "numbers file"
    words = ["--checkpoint", tmp_path / "run", "--n", 8, "--out", tmp_path / "drawn"]
    assert answer("sample", *words).code == 0  # it looks for no data by name


def test_trained_weights_are_not_trained_again(refusal, trained, tmp_path):
    path = trained("lstm:tiny", tmp_path / "model.safetensors")
    said = refusal("train", *TINY[2:], "--model", f"lstm:tiny@{path}", "--out", tmp_path / "run")
    assert said == f"lstm:tiny@{path}: training begins with random weights; name lstm:tiny"


def test_a_transformer_is_judged_at_the_positions_that_it_is_trained_at():
    transformer = recipe_of(resolve("transformer:tiny").build(), {})
    assert (transformer.n, transformer.eval_n, transformer.prefix) == (256, None, 128)
    assert recipe_of(resolve("lstm:tiny").build(), {}).eval_n == 1024


def test_the_usual_context_fits_into_a_window():
    source = resolve("lstm:tiny").build()
    assert recipe_of(source, {}).prefix == 128
    assert recipe_of(source, {"eval_n": 64}).prefix == 32
    assert recipe_of(source, {"eval_n": 64, "prefix": 50}).prefix == 50
