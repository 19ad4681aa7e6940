"""Networks of the package: built from a configuration, with the weights of a folder or with random ones."""

from __future__ import annotations

import copy
import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch

from arbench.adapters.hf import caches
from arbench.adapters.hf.configs import configuration
from arbench.adapters.hf.package import transformers
from arbench.adapters.hf.presets import weight_files

KEPT = 2
"""Networks with random weights that a process keeps to copy from: making them takes longer than to measure them."""
LARGEST = 1 << 30
"""Bytes of the largest of them."""
_kept: OrderedDict[str, Any] = OrderedDict()


def network_of(of: str, fields: Mapping[str, Any], seed: int) -> Any:
    """Return a network in float32 on the host, in evaluation mode.

    Args:
        of: as in ``arbench.adapters.hf.configs.configuration``.
        fields: as there; ``attn_implementation`` chooses the package's implementation of attention.
        seed: seed of random weights.

    Raises:
        ValueError: the settings or the files do not fit; the message is one line.
    """
    rest = {name: value for name, value in fields.items() if name != "attn_implementation"}
    config = configuration(of, rest)
    how = {"attn_implementation": fields["attn_implementation"]} if "attn_implementation" in fields else {}
    network = _loaded(of, config, how, bool(rest)) if weight_files(of) else _random(config, how, seed)
    network.generation_config = transformers().GenerationConfig()  # of the folder's own, an end token would stop draws
    return network.eval()


_counted: dict[str, tuple[int, int]] = {}
"""Weights, and the numbers that a token adds to the cache, by configuration."""


def numbers_of(of: str, fields: Mapping[str, Any], tokens: int) -> tuple[int, int] | None:
    """Return how many weights a network has, and how many numbers its cache of some tokens, without making either.

    The network is built and evaluated on PyTorch's device "meta", which has shapes alone. None where the package cannot
    do so.

    Args:
        of: as in ``network_of``.
        fields: as there.
        tokens: number of tokens, each of which is taken to add as much to the cache as the second does.
    """
    config = configuration(of, {name: value for name, value in fields.items() if name != "attn_implementation"})
    key = json.dumps(config.to_dict(), sort_keys=True, default=repr)
    if key not in _counted:
        try:
            with torch.device("meta"), torch.random.fork_rng(devices=[]):
                network = transformers().AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        except Exception:  # the real one will say why
            return None
        weights = sum(one.numel() for one in network.parameters())
        _counted[key] = weights, _token(network.eval())
    weights, token = _counted[key]
    return weights, token * tokens


def _token(network: Any) -> int:
    """Return how many numbers a further token adds to the package's dynamic cache; 0 where this is not known."""
    name = caches.argument(network)
    if name is None or caches.begun(network, name, "dynamic", 2) is None:
        return 0
    sizes = []
    try:
        with torch.no_grad():
            for count in (1, 2):
                ids = torch.zeros(1, count, dtype=torch.long, device="meta")
                past = caches.begun(network, name, "dynamic", 2)
                network(input_ids=ids, use_cache=True, **{name: past})
                parts = [getattr(one, part, None) for one in past.layers for part in ("keys", "values")]
                sizes.append(sum(part.numel() for part in parts if isinstance(part, torch.Tensor)))
    except Exception:  # code that looks at values cannot run on shapes alone
        return 0
    return max(sizes[1] - sizes[0], 0)


def _random(config: Any, how: Mapping[str, Any], seed: int) -> Any:
    key = json.dumps([config.to_dict(), how, seed], sort_keys=True, default=repr)
    known = _kept.get(key)
    if known is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            known = _made(transformers().AutoModelForCausalLM.from_config, config, dtype=torch.float32, **how)
        if sum(one.numel() * one.element_size() for one in known.parameters()) > LARGEST:
            return known
        _kept[key] = known
        if len(_kept) > KEPT:
            _kept.popitem(last=False)
    _kept.move_to_end(key)
    return copy.deepcopy(known)


def _loaded(of: str, config: Any, how: Mapping[str, Any], changed: bool) -> Any:
    network, found = _made(
        transformers().AutoModelForCausalLM.from_pretrained,
        of,
        config=config,
        dtype=torch.float32,
        local_files_only=True,
        use_safetensors=True,
        ignore_mismatched_sizes=True,  # refused below, by name
        output_loading_info=True,
        **how,
    )
    for what, kind in (("missing_keys", "has no weight"), ("mismatched_keys", "has another shape of")):
        if names := sorted(str(one[0] if isinstance(one, tuple) else one) for one in found[what]):
            more = f", and {len(names) - 1:,} more" if len(names) > 1 else ""
            todo = "; leave out the settings that change its shape" if changed else ""
            raise ValueError(f"the folder {kind} '{names[0]}'{more}{todo}")
    if names := sorted(found["unexpected_keys"]):
        fewer = changed and all(f".{n}." in name for name in names for n in [_layer(name)] if n is not None)
        if not fewer:
            raise ValueError(f"the folder has a weight '{names[0]}' that its architecture has not")
    return network


def _layer(name: str) -> int | None:
    return next((int(part) for part in name.split(".") if part.isdigit()), None)


def _made(make: Any, *args: Any, **options: Any) -> Any:
    """Call a function of the package. Raises ValueError, with one line, where it refuses."""
    try:
        return make(*args, **options)
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:  # the package may refuse a configuration in any way
        if isinstance(error, RuntimeError) and "memory" in str(error).lower():
            raise
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from None
