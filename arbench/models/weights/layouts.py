"""Layouts of weights that other packages save, renamed to those of our models."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_TABLES = {"wte.weight": "embedding", "wpe.weight": "positions"}
_PARTS = {
    "ln_1": "attention_residual.norm",
    "attn.c_attn": "attention.inputs",
    "attn.c_proj": "attention.out",
    "ln_2": "feed_forward_residual.norm",
    "mlp.c_fc": "feed_forward.hidden",
    "mlp.c_proj": "feed_forward.out",
}
_MASKS = re.compile(r"h\.\d+\.attn\.(masked_)?bias")
_PART = re.compile(r"h\.(\d+)\.(.+)\.(weight|bias)")


def from_gpt2(found: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Return the weights of a GPT-2 of Hugging Face's transformers under the names of ``transformer:gpt2_small``.

    Its products are stored as (inputs, outputs), ours as (outputs, inputs). A matrix of logits that is the embedding is
    left out, as are the masks that earlier versions stored.

    Args:
        found: tensors by their names in the file.

    Returns:
        Tensors by our names; None if the file has another layout.
    """
    plain = {name.removeprefix("transformer."): tensor for name, tensor in found.items()}
    if "wte.weight" not in plain or "h.0.attn.c_attn.weight" not in plain:
        return None
    renamed: dict[str, Tensor] = {}
    for name, tensor in plain.items():
        part = _PART.fullmatch(name)
        if name in _TABLES:
            renamed[_TABLES[name]] = tensor
        elif name.startswith("ln_f."):
            renamed[f"decoder.norm.{name.removeprefix('ln_f.')}"] = tensor
        elif name == "lm_head.weight":
            if not tensor.equal(plain["wte.weight"]):
                renamed["logits"] = tensor
        elif part is not None and part[2] in _PARTS:
            product = part[3] == "weight" and tensor.dim() == 2
            renamed[f"decoder.layers.{part[1]}.{_PARTS[part[2]]}.{part[3]}"] = tensor.t() if product else tensor
        elif not _MASKS.fullmatch(name):
            return None
    return renamed
