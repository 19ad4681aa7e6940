"""The floating-point types that a run can measure in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
"""Types by the name that ``--dtype`` takes."""


def by_name(value: Any) -> Any:
    """Return PyTorch's own dtype or device by its name, as options have it; any other value as it is."""
    if isinstance(value, torch.dtype | torch.device):
        return str(value).removeprefix("torch.")
    return value


def as_float64(value: Any) -> Any:
    """Return a tensor, or a nested dictionary of tensors, with floating-point values converted to float64."""
    if isinstance(value, Tensor):
        return value.double() if value.is_floating_point() else value
    if isinstance(value, dict):
        return {k: as_float64(v) for k, v in value.items()}
    return value
