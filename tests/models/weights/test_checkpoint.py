"""Tests of checkpoints: what a file says of its weights, and refusal of files that say it wrongly."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from arbench.models import Source, WeightsError, load, resolve
from arbench.models.weights import Checkpoint, Data, Decoded, Quality, read, save, write
from arbench.models.weights.files import TRAINING_STATE

SAID = Checkpoint(
    model="wavenet",
    preset="tiny",
    config={"layers": 4, "loss": "softmax", "sizes": [1, 2]},
    data=Data("speech", "0" * 64),
    quality=Quality(3.71, "bits per audio sample", 143000, held_out=True),
    recipe={"rate": 1e-3},
    seed=3,
    steps=1234,
    seconds=12.5,
    command="arbench train --model wavenet:tiny",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


@pytest.fixture(scope="module")
def model() -> Source:
    return resolve("wavenet:tiny").build(3)


def quality(pairs: int, equal: int) -> dict[str, Any]:
    found = {"decoding": "greedy", "pairs": pairs, "equal": equal}
    return {"quality": {**asdict(SAID.quality), "translations": [found]}}


def said(path: Path, metadata: Any) -> str:
    """Return why a file with this metadata is refused."""
    save_file({"w": torch.zeros(1)}, path, metadata={"arbench.checkpoint": metadata})
    with pytest.raises(WeightsError) as caught:
        read(path)
    return str(caught.value)


def test_round_trip(model: Source, path: Path) -> None:
    quality = replace(SAID.quality, translations=(Decoded("argmax", 200, 30), Decoded("noisy parallel", 200, 90)))
    teacher = replace(SAID, teacher="wavenet:teacher@speech", quality=quality)
    write(model, path, teacher)
    assert read(path) == teacher
    other = resolve("wavenet:tiny").build(4)
    load(other, path)
    assert all(map(torch.equal, model.parameters(), other.parameters()))
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    text = json.loads(metadata["arbench.checkpoint"])
    assert text == json.loads(json.dumps({"schema": 1, **asdict(teacher)}))
    del text["quality"]["translations"], text["teacher"]  # a file from before them
    save_file({"w": torch.zeros(1)}, path, metadata={"arbench.checkpoint": json.dumps(text)})
    assert read(path) == SAID


def test_half_precision_is_for_parameters_alone(path: Path) -> None:
    model = resolve("wavenet:tiny").build(3)
    model.register_buffer("scale", torch.tensor([1e5, -torch.inf]))
    write(model, path, SAID, torch.float16)
    stored = load_file(path)
    assert torch.equal(stored.pop("scale"), model.scale)
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    load(model, path)
    assert torch.equal(model.out_bias, stored["out_bias"].float())


def test_the_file_appears_whole(model: Source, path: Path) -> None:
    path.write_text("the one before")
    bad = resolve("wavenet:tiny").build(3)
    bad.out_bias[1] = 7e4
    with pytest.raises(WeightsError) as caught:
        write(bad, path, SAID, torch.float16)
    assert str(caught.value) == f"checkpoint {path}: the weight 'out_bias' is not finite in float16"
    assert path.read_text() == "the one before"
    write(model, path, SAID)
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("bits", [float("nan"), float("inf")])
def test_a_quality_that_is_no_number_is_not_written(model: Source, bits: float, path: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"Expected `float`, got `null` - at `\$\.quality\.bits`; a checkpoint holds"
    ):
        write(model, path, replace(SAID, quality=replace(SAID.quality, bits=bits)))
    assert not path.exists()


def test_a_setting_that_json_has_not_is_not_written(model: Source, path: Path) -> None:
    with pytest.raises(WeightsError, match="a checkpoint holds JSON values"):
        write(model, path, replace(SAID, config={"kind": object()}))
    assert not path.exists()


def test_plain_weights_are_no_checkpoint(model: Source, path: Path) -> None:
    save(model, path)
    with pytest.raises(WeightsError) as caught:
        read(path)
    why = "weights that do not say which model they belong to; use --model with --weights"
    assert str(caught.value) == f"checkpoint {path}: {why}"


def test_the_state_of_a_training_run_is_no_checkpoint(model: Source, path: Path) -> None:
    save_file({"weights/x": torch.zeros(2)}, path, metadata={TRAINING_STATE: "{}"})
    with pytest.raises(WeightsError, match=r"is what --resume reads; name model\.safetensors beside it, or the folder"):
        read(path)
    with pytest.raises(WeightsError, match=r"; it is the state that --resume reads$"):
        load(model, path)


def test_weights_of_another_checkpoint_say_which_model_they_are_of(model: Source, path: Path) -> None:
    write(resolve("lstm:tiny").build(), path, replace(SAID, model="lstm", preset="tiny"))
    with pytest.raises(WeightsError, match="; it is a checkpoint of lstm:tiny, so name it with --checkpoint, without"):
        load(model, path)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"schema": 2}, "its format has version 2, and this arbench reads version 1"),
        ({"schema": "1"}, "Expected `int`, got `str` - at `$.schema`"),
        ({"model": None}, "Expected `str`, got `null` - at `$.model`"),
        ({"config": []}, "Expected `object`, got `array` - at `$.config`"),
        ({"data": {"name": "speech", "sha256": "12"}}, "Expected `str` matching regex '^[0-9a-f]{64}$' - at `$.data"),
        ({"steps": -1}, "Expected `int` >= 0 - at `$.steps`"),
        ({"quality": {"bits": 1.0}}, "Object missing required field `unit` - at `$.quality`"),
        (quality(0, 0), "Expected `int` >= 1 - at `$.quality.translations[0].pairs`"),
        (quality(9, 10), "10 of 9 translations cannot be exact - at `$.quality.translations[0]`"),
    ],
)
def test_wrong_facts_are_refused_with_their_place(change: dict[str, Any], why: str, path: Path) -> None:
    line = said(path, json.dumps({"schema": 1, **asdict(SAID), **change}))
    assert line.startswith(f"checkpoint {path}: {why}")
    assert line.endswith("; train it again")
    assert "\n" not in line


@pytest.mark.parametrize("text", ["", "{", "null", "[" * 100_000])
def test_what_is_not_json_is_refused(text: str, path: Path) -> None:
    line = said(path, text)
    assert line.startswith(f"checkpoint {path}: ")
    assert line.endswith("; train it again")
    assert "\n" not in line


def test_what_is_no_file_of_tensors_is_refused(path: Path) -> None:
    with pytest.raises(WeightsError, match=r"not a readable safetensors file \(No such file or directory"):
        read(path)
    path.write_bytes(b"weights, honestly\n" * 9)
    with pytest.raises(WeightsError, match="not a readable safetensors file"):
        read(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(WeightsError, match="not a regular file; save its content to a file"):
        read(path)
