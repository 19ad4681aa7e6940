"""The package ``transformers``, imported when a model of it is named, and never in a way that asks a network."""

from __future__ import annotations

import importlib
import os
from functools import cache
from types import ModuleType

OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
"""Settings of the package and of its client of a hub, which both read when they are imported."""


@cache
def transformers() -> ModuleType:
    """Import the package: offline, and silent but for errors."""
    os.environ.update(OFFLINE)
    found = importlib.import_module("transformers")
    found.logging.set_verbosity_error()
    found.logging.disable_progress_bar()
    return found


@cache
def causal_types() -> tuple[str, ...]:
    """Return the names that the package gives to the architectures of its causal language models."""
    transformers()
    auto = importlib.import_module("transformers.models.auto.modeling_auto")
    return tuple(sorted(auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES))
