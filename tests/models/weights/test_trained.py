"""Tests of trained weights: a name or path finds those of the same configuration, and refuses all others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from arbench.models import ModelError, NoModelError, resolve, save
from arbench.models.weights import Data, WeightsError, spec_of

Writer = Callable[..., Path]
MINE = "from arbench.models.wavenet import WaveNet\n\n\nclass Mine(WaveNet):\n    default_preset = 'tiny'\n"


def refusal(spec: str) -> str:
    with pytest.raises(ModelError) as caught:
        resolve(spec)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_name_that_ships(shipping: Writer) -> None:
    path = shipping("wavenet:tiny", "speech")
    chosen = resolve("wavenet:tiny@speech")
    assert (chosen.spec, chosen.preset, chosen.checkpoint) == ("wavenet:tiny@speech", "tiny@speech", path)
    assert chosen == resolve("wavenet@speech") == resolve(chosen.spec)
    assert chosen.config == resolve("wavenet:tiny").config
    stored, model = load_file(path), chosen.build(seed=3)
    assert all(torch.equal(value, stored[name]) for name, value in model.named_parameters())
    other = resolve("wavenet:tiny").build(seed=3)
    assert not torch.equal(other.embedding, model.embedding)
    assert resolve("wavenet:tiny").checkpoint is None


@pytest.mark.parametrize("place", ["runs/mine", "runs/mine/model.safetensors", "other.safetensors"])
def test_a_file_or_the_folder_of_a_training_run(place: str, trained: Writer, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = trained("wavenet:tiny", Path(place) if place.endswith("s") else Path(place, "model.safetensors"))
    name = "mine" if place.startswith("runs") else "other"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    chosen = resolve(f"wavenet@{place}")
    assert (chosen.spec, chosen.preset) == (f"wavenet:tiny@{place}", f"tiny@{name}-{digest[:8]}")
    assert chosen.checkpoint == path
    trained("wavenet:tiny", path, seed=8)
    assert resolve(f"wavenet@{place}").preset != chosen.preset


def test_the_preset_of_the_weights_is_meant_where_none_is_named(shipping: Writer) -> None:
    shipping("wavenet:tiny,layers=2", "speech")
    assert resolve("wavenet@speech").preset == "tiny,layers=2@speech"
    shipping("wavenet:tiny", "speech")
    assert resolve("wavenet:tiny@speech").preset == "tiny@speech"
    assert resolve("wavenet:tiny,layers=2@speech").preset == "tiny,layers=2@speech"
    both = "type wavenet:tiny,layers=2@speech or wavenet:tiny@speech"
    assert refusal("wavenet@speech") == f"model 'wavenet' has several trained weights 'speech'; {both}"


def test_weights_of_another_configuration_are_refused(shipping: Writer) -> None:
    shipping("wavenet:tiny,layers=2", "speech")
    layers = resolve("wavenet:tiny").config["layers"]
    assert refusal("wavenet:tiny@speech") == (
        f"model 'wavenet:tiny@speech': layers is 2 in the checkpoint and {layers} in the preset; "
        "type wavenet:tiny,layers=2@speech"
    )


def test_weights_of_a_preset_that_changed_are_refused(shipping: Writer) -> None:
    shipping("wavenet:tiny", "speech", config={**resolve("wavenet:tiny").config, "layers": 9})
    shipping("wavenet:tiny", "other", preset="old")
    for spec in ("wavenet@speech", "wavenet:tiny@speech"):
        assert refusal(spec).endswith("; the preset has changed since, so train it again")
    assert resolve("wavenet:tiny@other").preset == "tiny@other"  # the same settings by another name
    assert refusal("wavenet@other").startswith("model 'wavenet' has no preset 'old'; ")


def test_settings_that_are_not_given_are_the_defaults(shipping: Writer) -> None:
    config = resolve("wavenet:tiny").config
    shipping("wavenet:tiny", "speech", config={**config, "weight_norm": False})
    with pytest.raises(ModelError, match="weight_norm is false in the checkpoint and missing in the preset"):
        resolve("wavenet:tiny@speech")
    default = resolve("wavenet").cls.__init__.__kwdefaults__
    extra = next(key for key in default if key not in config and key != "seed")
    shipping("wavenet:tiny", "speech", config={**config, extra: default[extra]})
    assert resolve("wavenet:tiny@speech").preset == "tiny@speech"


def test_a_name_that_does_not_ship_suggests_one(shipping: Writer, tmp_path: Path, monkeypatch) -> None:
    shipping("wavenet:tiny", "speech")
    shipping("lstm:tiny", "manual")
    listed = "available: wavenet:tiny@speech (a path has a '/')"
    for close, hint in {"speach": "did you mean 'speech'? ", "qqq": ""}.items():
        assert refusal(f"wavenet:tiny@{close}") == f"no trained weights '{close}' of wavenet ship; {hint}{listed}"
    with pytest.raises(NoModelError):
        resolve("wavenet@qqq")
    assert "available: none (a path has a '/')" in refusal("mingru@speech")
    assert "no trained weights '' of wavenet ship" in refusal("wavenet@")
    monkeypatch.chdir(tmp_path)
    Path("qqq").mkdir()
    assert refusal("wavenet@qqq").endswith("(for the path type wavenet@./qqq)")


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    assert refusal(f"wavenet@{path}").startswith(
        f"checkpoint {path}: does not exist; name the folder of a training run"
    )
    path.write_text("weights, honestly\n" * 9)
    assert refusal(f"wavenet@{path}").startswith(f"checkpoint {path}: not a readable safetensors file (")
    path.unlink()
    save(resolve("wavenet:tiny").build(), path)
    assert refusal(f"wavenet@{path}").endswith("use --model with --weights")
    missing = f"checkpoint {tmp_path}: has no model.safetensors; name the folder of a training run"
    assert refusal(f"wavenet@{tmp_path}") == f"{missing}; arbench train --out FOLDER writes one"
    model = tmp_path / "model.safetensors"
    assert refusal(f"wavenet@{model}").startswith(f"checkpoint {model}: does not exist; name the folder")


def test_the_runs_in_a_folder_are_named(trained: Writer, tmp_path: Path) -> None:
    for name in ("b", "a"):
        trained("wavenet:tiny", tmp_path / name / "model.safetensors")
    assert refusal(f"wavenet@{tmp_path}").endswith(f"name the folder of a training run, such as {tmp_path}/a")


def test_a_model_that_ships_weights_is_no_path_of_a_checkpoint(shipping) -> None:
    shipping("wavenet:tiny", "speech")
    with pytest.raises(WeightsError) as caught:
        spec_of("wavenet:tiny")
    assert str(caught.value).endswith("; --model and --teacher take weights that ship: wavenet:tiny@speech")


def test_weights_of_another_model_are_refused(trained: Writer, tmp_path: Path) -> None:
    path = trained("lstm:tiny", tmp_path / "mine.safetensors")
    assert refusal(f"wavenet@{path}") == f"checkpoint {path} is of the model lstm, not of wavenet; type lstm@{path}"


def test_a_model_of_the_users_own(trained: Writer, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    place = f"{tmp_path}/mine.py:Mine"
    path = trained(place, tmp_path / "run" / "model.safetensors")
    chosen = resolve(f"{place}@{tmp_path}/run")
    assert (chosen.name, chosen.spec) == ("mine.Mine", f"{place}:tiny@{tmp_path}/run")
    assert chosen.checkpoint == path
    assert resolve(chosen.spec) == chosen


def test_weights_given_twice_are_refused(shipping: Writer) -> None:
    path = shipping("wavenet:tiny", "speech")
    with pytest.raises(ModelError) as caught:
        resolve("wavenet:tiny@speech").build(weights=path)
    twice = f"and the weights {path} are given too; leave out one of them"
    assert str(caught.value) == f"model 'wavenet:tiny@speech' names its weights, {twice}"


def draft_bias(spec: str) -> torch.Tensor:
    return resolve(spec).build(seed=3).draft.embedding


def test_a_draft_that_ships_has_its_trained_weights(shipping: Writer) -> None:
    shipping("wavenet:tiny", "speech")
    chosen = resolve("wavenet:tiny@speech")
    random = draft_bias("wavenet:tiny@speech")
    assert chosen.trained_draft() is None
    smaller = chosen.cls.drafting(chosen.config)
    settings = ",".join(f"{key}={value}" for key, value in smaller.items() if value != chosen.config.get(key))
    spec = f"wavenet:tiny,{settings}"
    path = shipping(spec, "draft", data=Data("speech", "1" * 64))
    assert chosen.trained_draft() is None, "the draft was trained on other data"
    assert torch.equal(draft_bias("wavenet:tiny@speech"), random)
    shipping(spec, "draft")
    assert chosen.trained_draft().path == path
    assert torch.equal(draft_bias("wavenet:tiny@speech"), load_file(path)["embedding"])
    assert resolve("wavenet:tiny").trained_draft() is None


def test_a_draft_beside_the_users_checkpoint(trained: Writer, tmp_path: Path) -> None:
    trained("wavenet:tiny", tmp_path / "model.safetensors")
    chosen = resolve(f"wavenet@{tmp_path}")
    path = trained("wavenet:tiny", tmp_path / "draft.safetensors")
    assert chosen.trained_draft() is None, "it is as large as the model"
    said = chosen.trained.said
    smaller = replace(said, config=chosen.cls.drafting(chosen.config))
    settings = ",".join(f"{k}={v}" for k, v in smaller.config.items() if v != chosen.config.get(k))
    trained(f"wavenet:tiny,{settings}", path)
    assert chosen.trained_draft().path == path
    path.write_text("no weights")
    with pytest.raises(Exception, match=r"draft\.safetensors: not a readable safetensors file"):
        chosen.build()
