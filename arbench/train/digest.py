"""The digest of data: the same for the same numbers and texts, wherever they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def digest(data: Any) -> str:
    """Return the SHA-256 of data, as 64 hexadecimal digits.

    Args:
        data: arrays, texts, numbers and None, in sequences, mappings and dataclasses.

    Raises:
        TypeError: something else is among them.
    """
    sha = hashlib.sha256()
    _add(sha, data)
    return sha.hexdigest()


def _add(sha: Any, value: Any) -> None:
    if isinstance(value, np.ndarray):
        sha.update(f"array {value.dtype.str} {value.shape};".encode())
        sha.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, str):
        content = value.encode("utf-8", "surrogatepass")
        sha.update(f"text {len(content)};".encode() + content)
    elif value is None or isinstance(value, bool | int | float | np.number):
        sha.update(f"{type(value).__name__} {value!r};".encode())
    elif is_dataclass(value) and not isinstance(value, type):
        sha.update(f"{type(value).__name__};".encode())
        for field in fields(value):
            _add(sha, getattr(value, field.name))
    elif isinstance(value, Mapping):
        sha.update(f"mapping {len(value)};".encode())
        for key in sorted(value):
            _add(sha, key)
            _add(sha, value[key])
    elif isinstance(value, Sequence):
        sha.update(f"sequence {len(value)};".encode())
        for one in value:
            _add(sha, one)
    else:
        raise TypeError(f"no digest of {type(value).__name__}: use arrays, texts and numbers")
