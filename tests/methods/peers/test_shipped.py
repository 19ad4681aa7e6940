"""The adapters that ship draw what our models draw, from checkouts that are not part of arbench.

``ARBENCH_PEERS`` names the folder of the checkouts: ``r9y9``, ``kan-bayashi`` and ``pclucas14``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from arbench.methods import Method, Task
from arbench.methods.peers import resolve
from arbench.methods.stepwise import CACHED
from arbench.models import Source
from arbench.models import resolve as model

CASES = [
    ("r9y9", "wavenet:tiny,skip=4", 2),
    ("r9y9", "wavenet:tiny,skip=4,kernel=3,local=0,classes=0", 1),
    ("r9y9", "wavenet:nv,skip=256", 1),
    ("kan-bayashi", "wavenet:tiny,skip=4,gate=6", 1),
    ("kan-bayashi", "wavenet:tiny,skip=4,gate=6,kernel=3,layers=6,cycle=3", 3),
    ("kan-bayashi", "wavenet:tiny,skip=4,gate=6,local=0,classes=0", 1),
    ("kan-bayashi", "wavenet:nv,skip=256", 1),
    ("pclucas14", "pixelcnnpp:tiny,halvings=2,levels=5,resnets=2", 2),
    ("pclucas14", "pixelcnnpp:digits,halvings=2", 1),
]
N = 64


@pytest.fixture
def checkouts() -> Path:
    folder = os.environ.get("ARBENCH_PEERS")
    if not folder:
        pytest.skip("ARBENCH_PEERS names no folder with checkouts of the peers")
    return Path(folder)


def built(spec: str) -> Source:
    """Build a model in which no weight is 0, as biases are at the start."""
    source = model(spec).build()
    generator = torch.Generator().manual_seed(3)
    for parameter in source.parameters():
        if not parameter.any():
            parameter.normal_(0, 0.1, generator=generator)
    return source


def peer(checkouts: Path, name: str) -> Method:
    if not (checkouts / name).is_dir():
        pytest.skip(f"no checkout of {name} in {checkouts}")
    return resolve(f"{name}={checkouts / name}")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "spec", "batch"), CASES)
@torch.no_grad()
def test_a_peer_draws_what_the_model_draws(checkouts: Path, name: str, spec: str, batch: int) -> None:
    method, source = peer(checkouts, name), built(spec)
    assert method.lacks(source) is None
    _, context = source.observe(N, range(batch), 0)
    noise = source.distribution.noise(0, range(batch), range(N), torch.float32)
    task = Task(N, context, noise=noise, record=True)
    ours, its = CACHED.run(source, task), method.run(source, task)
    assert torch.equal(its.x, ours.x)
    assert ours.params is not None
    assert its.params is not None
    log_prob = source.distribution.log_prob
    torch.testing.assert_close(log_prob(its.params, its.x), log_prob(ours.params, ours.x), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="keeps no given elements"):
        method.run(source, Task(N, context, noise=noise, given=its.x[:, :2]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "spec"), [("r9y9", "wavenet:tiny,skip=4"), ("pclucas14", "pixelcnnpp:tiny,halvings=2")]
)
@torch.no_grad()
def test_a_peer_may_compute_in_float64(checkouts: Path, name: str, spec: str) -> None:
    method, source = peer(checkouts, name), built(spec).double()
    _, context = source.observe(16, [0], 0)
    context = {key: one.double() if one.is_floating_point() else one for key, one in context.items()}
    task = Task(16, context, noise=source.distribution.noise(0, [0], range(16)), record=True)
    ours, its = CACHED.run(source, task), method.run(source, task)
    assert torch.equal(its.x, ours.x)
    assert ours.params is not None
    assert its.params is not None
    log_prob = source.distribution.log_prob
    torch.testing.assert_close(log_prob(its.params, its.x), log_prob(ours.params, ours.x), rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "spec", "why"),
    [
        ("r9y9", "wavenet:nv", "has a hidden layer as wide as its skip sum; add skip=256"),
        ("kan-bayashi", "wavenet:tiny,skip=4", "has gates as wide as its residual stream; add gate=6"),
        ("pclucas14", "pixelcnnpp:digits", "halves images twice; add halvings=2"),
        ("pclucas14", "pixelcnnpp:digits_class,halvings=2", "takes no class; add classes=0"),
        (
            "pclucas14",
            "pixelcnnpp:digits,halvings=2,activation=elu",
            "has concatenated ELUs only; add activation=concat_elu",
        ),
    ],
)
def test_what_a_peer_cannot_be_is_said(checkouts: Path, name: str, spec: str, why: str) -> None:
    assert peer(checkouts, name).lacks(model(spec).build()) == why
