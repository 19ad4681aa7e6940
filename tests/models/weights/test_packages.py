"""Weights that a package brings: converted where they are named, and refused with the command that brings them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from arbench.data import DataError
from arbench.models import ModelError, resolve
from arbench.models.events import g2p_en
from arbench.models.weights import read


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "arbench"


@pytest.fixture
def brought(monkeypatch: pytest.MonkeyPatch):
    model = resolve("seq2seq:g2p").build(7)
    state = dict(model.state_dict())
    monkeypatch.setattr(g2p_en, "converted", lambda: state)
    return model


@pytest.mark.parametrize("spec", ["seq2seq:g2p@g2p_en", "seq2seq@g2p_en"])
def test_a_model_gets_the_weights_of_the_package(cache, brought, spec):
    chosen = resolve(spec)
    assert chosen.preset == "g2p@g2p_en"
    built = chosen.build(0)
    assert all(map(torch.equal, built.parameters(), brought.parameters()))
    assert chosen.trained is not None
    assert not chosen.trained.said.quality.held_out


def test_the_checkpoint_is_kept_and_mended(cache, brought):
    path = resolve("seq2seq:g2p@g2p_en").checkpoint
    assert path == cache / "seq2seq-g2p_en.safetensors"
    assert read(path).model == "seq2seq"
    content = path.read_bytes()
    path.write_bytes(b"something else")
    assert resolve("seq2seq:g2p@g2p_en").checkpoint == path
    assert path.read_bytes() == content


def test_with_nowhere_to_keep_it_the_process_has_its_own(cache, brought):
    cache.parent.joinpath("arbench").write_text("no folder")
    path = resolve("seq2seq:g2p@g2p_en").checkpoint
    assert path is not None
    assert path.name == "seq2seq-g2p_en.safetensors"
    assert resolve("seq2seq:g2p@g2p_en").preset == "g2p@g2p_en"


def test_a_missing_package_is_named_with_its_command(cache, monkeypatch):
    def absent():
        raise DataError(Path("g2p_en"), f"needs the package g2p-en, which is not installed; {g2p_en.COMMAND}")

    monkeypatch.setattr(g2p_en, "converted", absent)
    with pytest.raises(ModelError, match=r"not installed; pip install --no-deps g2p-en==2\.1\.0"):
        resolve("seq2seq:g2p@g2p_en")
    assert not cache.exists()


def test_other_names_are_listed(cache):
    with pytest.raises(ModelError, match="available: seq2seq@g2p_en of a package"):
        resolve("seq2seq:g2p@none")
