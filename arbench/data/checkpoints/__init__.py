"""Trained weights that ship, as files ``MODEL-PRESET-NAME.safetensors``; NAME is what follows the last hyphen."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
SUFFIX = ".safetensors"


def shipped(model: str) -> list[Path]:
    """Return the files of a built-in model's trained weights, in the order of their names."""
    return sorted(FOLDER.glob(f"{model}-*{SUFFIX}"))


def name_of(file: Path) -> str:
    """Return the name of trained weights that ship, such as 'speech'."""
    return file.stem.rpartition("-")[2]
