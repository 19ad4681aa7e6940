"""A foreign network is built once for a model, and anew where weights have changed."""

from __future__ import annotations

import gc
from weakref import ref

import torch

from arbench.methods.peers.prepared import Prepared
from arbench.models import Source, resolve


def weights_of(source: Source) -> torch.Tensor:
    return torch.cat([one.detach().flatten() for one in source.parameters()]).clone()


def test_a_network_is_built_once_for_a_model() -> None:
    networks, first, second = Prepared(weights_of), resolve("made:tiny").build(0), resolve("made:tiny").build(1)
    built = networks(first)
    assert networks(first) is built
    assert not torch.equal(networks(second), built)
    assert networks(first) is built


def test_changed_weights_are_copied_again() -> None:
    networks, source = Prepared(weights_of), resolve("made:tiny").build()
    built = networks(source)
    with torch.no_grad():
        next(source.parameters()).add_(1)
    assert not torch.equal(networks(source), built)
    assert torch.equal(networks(source), weights_of(source))


def test_a_model_that_is_gone_keeps_no_network() -> None:
    networks, source = Prepared(weights_of), resolve("made:tiny").build()
    built = ref(networks(source))
    del source
    gc.collect()
    assert built() is None
