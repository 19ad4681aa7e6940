"""Folders of GPT-2 as Hugging Face's transformers saves it, as trained weights of ``transformer``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from arbench.models.transformer import Transformer
from arbench.models.weights.checkpoint import Checkpoint, Data
from arbench.models.weights.files import WeightsError

CONFIG, WEIGHTS = "config.json", "model.safetensors"
PRESET = "gpt2_small"
"""Preset whose settings the configuration of a folder changes."""
_ACTIVATIONS = {"gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu", "relu": "relu"}
_FIXED = {
    "layer_norm_epsilon": 1e-5,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
}
"""Fields of its configuration that our model does not vary, by the value that it has."""


def is_gpt2(folder: Path) -> bool:
    """Return whether a folder holds a GPT-2, as ``save_pretrained`` writes it.

    Raises:
        WeightsError: its weights are in several files.
    """
    whole, index = (folder / WEIGHTS).is_file(), (folder / f"{WEIGHTS}.index.json").is_file()
    if not (folder / CONFIG).is_file() or not (whole or index) or _read(folder).get("model_type") != "gpt2":
        return False
    if not whole:
        raise WeightsError(
            f"folder {folder}: its weights are in several files; save them in one, with save_pretrained(FOLDER, "
            "max_shard_size='1TB')"
        )
    return True


def described(folder: Path, sha256: str) -> Checkpoint:
    """Return what a checkpoint of our model would say of the weights in a folder.

    Args:
        folder: the folder.
        sha256: digest of its weights, which stands for what they were trained on.

    Raises:
        WeightsError: our model has no such variant.
    """
    found = _read(folder)
    for name, value in _FIXED.items():
        if found.get(name, value) != value:
            raise WeightsError(f"folder {folder}: {name} is {found[name]!r}, and transformer has {value!r} alone")
    activation = found.get("activation_function", "gelu_new")
    if activation not in _ACTIVATIONS:
        raise WeightsError(f"folder {folder}: transformer has no activation '{activation}'")
    width, levels = int(found.get("n_embd", 768)), int(found.get("vocab_size", 50257))
    begin = found.get("bos_token_id", 50256)
    config = {
        **Transformer.presets[PRESET],
        "layers": int(found.get("n_layer", 12)),
        "width": width,
        "heads": int(found.get("n_head", 12)),
        "hidden": int(found.get("n_inner") or 4 * width),
        "levels": levels,
        "positions": int(found.get("n_positions", 1024)),
        "begin": begin if type(begin) is int and 0 <= begin < levels else 0,
        "tied": bool(found.get("tie_word_embeddings", True)),
        "activation": _ACTIVATIONS[activation],
    }
    return Checkpoint(
        model="transformer",
        preset=_preset(config),
        config=config,
        data=Data("unknown", sha256),
        quality=None,
        recipe={},
        seed=0,
        steps=0,
        seconds=0.0,
        command=f"transformers, save_pretrained('{folder.name}')",
    )


def _preset(config: Mapping[str, Any]) -> str:
    known = Transformer.presets[PRESET]
    changed = {name: value for name, value in config.items() if known.get(name) != value}
    return ",".join([PRESET, *(f"{name}={msgspec.json.encode(value).decode()}" for name, value in changed.items())])


def _read(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"folder {folder}: {CONFIG} is no readable JSON ({error})") from None
    return found if isinstance(found, dict) else {}
