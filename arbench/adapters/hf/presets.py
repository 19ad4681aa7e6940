"""What may follow ``hf:``: a small preset, the name of an architecture, a local folder or a configuration file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from arbench.adapters.hf.package import causal_types
from arbench.border.naming import file_name
from arbench.models import ModelError

CONFIG = "config.json"
WEIGHTS = "*.safetensors"
SMALL: Mapping[str, Mapping[str, Any]] = {
    "tiny": dict(of="gpt2", vocab_size=256, n_positions=256, n_embd=32, n_layer=2, n_head=2),
    "tiny_llama": dict(
        of="llama",
        vocab_size=256,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
    ),
    "tiny_mamba": dict(of="mamba", vocab_size=256, hidden_size=32, num_hidden_layers=2, state_size=8),
}
"""Small presets, for tests and first tries; a bare name of an architecture means its default configuration."""
TAKEN = (
    "name a local folder with config.json and weights as safetensors, a configuration file, or an architecture such as "
    "gpt2, llama or mamba; nothing is downloaded"
)


class Presets(Mapping[str, Mapping[str, Any]]):
    """Configurations of ``CausalLM`` by what the user calls them: ``of`` says what to build, the rest are fields."""

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        if name in SMALL:
            return SMALL[name]
        if name in causal_types() or _holds_a_model(Path(name)):
            return {"of": name}
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        yield from SMALL
        yield from causal_types()

    def __len__(self) -> int:
        return len(SMALL) + len(causal_types())

    def __contains__(self, name: object) -> bool:
        """Return whether there is such a model. Raises ModelError, with what would be taken, for what is no name."""
        if not isinstance(name, str):
            return False
        if name in SMALL or name in causal_types() or _holds_a_model(Path(name)):
            return True
        if "/" in name or name.endswith(".json") or Path(name).exists():
            raise ModelError(f"model 'hf:{name}': {_missing(Path(name))}; {TAKEN}")
        close = get_close_matches(name, list(self), n=1)
        raise ModelError(
            f"model 'hf:{name}': no such architecture{f' (did you mean {close[0]}?)' if close else ''}; {TAKEN}"
        )


def _holds_a_model(path: Path) -> bool:
    return path.is_file() if path.suffix == ".json" else (path / CONFIG).is_file()


def _missing(path: Path) -> str:
    if path.suffix == ".json":
        return f"no file {path}"
    return f"the folder has no {CONFIG}" if path.is_dir() else "no such folder"


def config_file(of: str) -> Path | None:
    """Return the configuration file of a folder, or of a path to it; None for the name of an architecture."""
    path = Path(of)
    if of in causal_types() or not _holds_a_model(path):
        return None
    return path if path.suffix == ".json" else path / CONFIG


def weight_files(of: str) -> list[Path]:
    """Return the files of weights in a folder, in the order of their names; none beside a configuration file alone."""
    folder = Path(of)
    return sorted(folder.glob(WEIGHTS)) if of not in causal_types() and folder.is_dir() else []


def label(of: str) -> str:
    """Return what results call a preset: its name, or the stem of its path and eight digits of what it holds."""
    file = config_file(of) if of not in SMALL else None
    if file is None:
        return of
    stem = file.parent.resolve().name if file.name == CONFIG else file.stem
    states = tuple((str(one.resolve()), *_state(one)) for one in (file, *weight_files(of)))
    return f"{file_name(stem, (), 'model')}-{_digest(states)}"


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


@lru_cache(maxsize=64)
def _digest(files: tuple[tuple[str, int, int], ...]) -> str:
    """Return the first eight hexadecimal digits of the SHA-256 of files that have not changed since."""
    found = hashlib.sha256()
    for path, size, _ in files:
        found.update(f"{Path(path).name} {size}\n".encode())
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                found.update(block)
    return found.hexdigest()[:8]
