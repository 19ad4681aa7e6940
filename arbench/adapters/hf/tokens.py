"""Events of a language model: random tokens, or the user's own text or numbers of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from arbench.adapters.hf.package import transformers
from arbench.border.printable import printable
from arbench.border.shown import Text, numbers
from arbench.data import DataError
from arbench.data.optional.named import named
from arbench.data.text import load_text

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "vocab.txt")
"""Files of a folder any of which shows that it has a tokenizer."""


@lru_cache(maxsize=4)
def tokenizer_of(of: str) -> Any:
    """Return the tokenizer of a local folder; None where it has none."""
    folder = Path(of)
    if not of or not any((folder / name).is_file() for name in TOKENIZERS):
        return None
    return transformers().AutoTokenizer.from_pretrained(of, local_files_only=True)


def load(path: str, of: str, levels: int) -> NDArray[np.int64]:
    """Read the user's tokens, int64 (M,): numbers, or text where the model's folder has a tokenizer.

    Args:
        path: an array of NumPy (``.npy``), or a text file: of numbers separated by white space, or of anything.
        of: the model's folder, whose tokenizer reads text.
        levels: size of the vocabulary.

    Raises:
        DataError: the file cannot be read, holds no tokens, or holds others than the vocabulary has.
    """
    if path.endswith(".npy"):
        found = _array(Path(path))
    else:
        named(path, "text")
        text = load_text(path)
        tokenizer = tokenizer_of(of)
        if tokenizer is not None:
            found = np.asarray(tokenizer(text, add_special_tokens=False)["input_ids"], np.int64)
        else:
            found = _numbers(Path(path), text)
    if not len(found):
        raise DataError(Path(path), "holds no tokens")
    if not 0 <= int(found.min()) <= int(found.max()) < levels:
        raise DataError(
            Path(path), f"holds tokens from {found.min()} to {found.max()}; the vocabulary has 0 to {levels - 1}"
        )
    return found


def _array(path: Path) -> NDArray[np.int64]:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(path, f"is no array of NumPy ({' '.join(str(error).split())})") from None
    if found.dtype.kind not in "iu":
        raise DataError(path, f"is an array of {found.dtype}; wanted numbers of tokens")
    return found.astype(np.int64).ravel()


def _numbers(path: Path, text: str) -> NDArray[np.int64]:
    try:
        return np.asarray([int(one) for one in text.split()], np.int64)
    except ValueError:
        raise DataError(
            path, "is text, and the model has no tokenizer; name a folder with one, or give numbers of tokens"
        ) from None


def observed(n: int, rows: Sequence[int], seed: int, levels: int, data: NDArray[np.int64] | None) -> Tensor:
    """Return events, int64 (B, n): random tokens, or passages of the user's.

    Raises:
        DataError: there are fewer than ``n`` tokens.
    """
    if data is None:
        draws = [torch.Generator().manual_seed(seed * 65537 + row) for row in rows]
        return torch.stack([torch.randint(levels, (n,), generator=draw) for draw in draws])
    if len(data) < n:
        raise DataError(Path("the data"), f"too short: {len(data)} tokens; an event needs {n}")
    begins = [int(np.random.default_rng([seed, row]).integers(len(data) - n + 1)) for row in rows]
    return torch.from_numpy(np.stack([data[begin : begin + n] for begin in begins]))


def shown(x: Tensor, of: str) -> list[Text]:
    """Return events as text, by the folder's tokenizer; or the numbers of their tokens."""
    tokenizer = tokenizer_of(of)
    if tokenizer is None:
        return [numbers(row) for row in x.tolist()]
    return [Text(printable(tokenizer.decode(row))) for row in x.tolist()]
