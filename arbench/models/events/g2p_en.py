"""Weights of the package g2p-en 2.1.0, which nobody here trained: English words to phonemes.

The package is Apache-2.0, © Kyubyong Park and Jongseok Kim. It is never imported, since its import downloads files.
"""

from __future__ import annotations

from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from arbench.data import DataError, carried

COMMAND = "pip install --no-deps g2p-en==2.1.0"
"""Command that installs the package without what it would download at import."""
CONFIG = dict(layers=1, width=256, embedding=256, levels=74, bound=1 / 16, cell="gru", attention=False, kind="phonemes")
"""Configuration of ``seq2seq`` that the weights fit."""
BITS, ELEMENTS = 0.327, 14_498
"""Bits per phoneme, in-sample, and of how many, as ``reports/trained/g2p.json`` has them, which
``python benchmarks/g2p_error.py --words 2000 --seed 0 --out reports/trained/g2p.json`` makes."""
_NAMES = {
    "enc_emb": "source_embedding",
    "dec_emb": "embedding",
    "fc_w": "out",
    "fc_b": "out_bias",
    **{
        f"{short}_{kind}_{side}": f"{part}.gru.{name}_{side}_l0"
        for short, part in (("enc", "encoder"), ("dec", "decoder"))
        for kind, name in (("w", "weight"), ("b", "bias"))
        for side in ("ih", "hh")
    },
}
"""Names in ``Seq2Seq`` of the arrays."""


def converted() -> dict[str, Tensor]:
    """Return the weights of ``seq2seq:g2p``, float32, by their names in the model.

    Raises:
        DataError: the package is not installed, or its file is not the one of version 2.1.0.
    """
    path = carried("g2p_en", "g2p-en", "g2p_en/checkpoint20.npz", COMMAND)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            found = {_NAMES[name]: torch.from_numpy(stored[name]) for name in _NAMES}
    except (OSError, EOFError, ValueError, KeyError, BadZipFile):
        raise DataError(path, f"is not the file of g2p-en 2.1.0; {COMMAND} --force-reinstall") from None
    return {**found, "out": found["out"].t().contiguous()}
