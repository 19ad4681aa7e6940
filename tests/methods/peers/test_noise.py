"""Foreign distribution objects draw what ours draw from the same noise; those of everybody else stay."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from torch.nn.functional import one_hot

from arbench.distributions import Categorical
from arbench.meters import count
from arbench.methods import Task
from arbench.methods.peers.noise import NoiseDraws, own_distributions

B, N, K = 3, 5, 7


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.randn(B, N, K, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3


def task(record: bool = False) -> Task:
    return Task(N, {}, noise=Categorical(K).noise(1, range(B), range(N)), record=record)


def test_draws_are_those_of_the_noise(logits: torch.Tensor) -> None:
    job = task(record=True)
    wanted = Categorical(K).draw(logits, job.noise)
    draws = NoiseDraws(job)
    kind = draws.categorical()
    drawn = torch.stack([kind(probs).sample() for probs in logits.softmax(-1).unbind(1)], dim=1)
    assert torch.equal(drawn, wanted)
    torch.testing.assert_close(draws.params, logits.log_softmax(-1))


def test_one_hot_draws_are_the_same_and_only_a_recording_task_keeps_anything(logits: torch.Tensor) -> None:
    job = task()
    draws = NoiseDraws(job)
    kind = draws.one_hot_categorical()
    drawn = torch.stack([kind(probs).sample() for probs in logits.softmax(-1).unbind(1)], dim=1)
    assert torch.equal(drawn, one_hot(Categorical(K).draw(logits, job.noise), K).double())
    assert draws.params is None


@pytest.mark.parametrize("kind", ["categorical", "one_hot_categorical"])
def test_draws_can_be_counted(logits: torch.Tensor, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that is not ours is not counted where it reads numbers; ours within it reads none.

    PyTorch's own check of probabilities reads them, until something in the process was compiled.
    """
    monkeypatch.setattr(torch.distributions.Distribution, "_validate_args", False)
    made = getattr(NoiseDraws(task()), kind)()
    steps = logits.softmax(-1).unbind(1)
    found = count(lambda: [made(probs).sample() for probs in steps], outside=True)
    assert found.why_unknown is None
    assert found.depth is not None
    assert found.depth >= 5, "normalise, logarithm, noise, largest"


def test_a_class_of_the_peer_alone_is_never_drawn(logits: torch.Tensor) -> None:
    job = task()
    probs = torch.nn.functional.pad(logits.softmax(-1), (0, 1))
    kind = NoiseDraws(job).categorical()
    drawn = torch.stack([kind(one).sample() for one in probs.unbind(1)], dim=1)
    assert torch.equal(drawn, Categorical(K).draw(logits, job.noise))


def test_a_single_row_may_have_no_batch(logits: torch.Tensor) -> None:
    noise = Categorical(K).noise(1, [0], range(N))
    kind = NoiseDraws(Task(N, {}, noise=noise)).categorical()
    drawn = [kind(probs).sample() for probs in logits[0].softmax(-1)]
    assert [one.shape for one in drawn] == [()] * N
    assert torch.equal(torch.stack(drawn), Categorical(K).draw(logits[:1], noise)[0])


def test_what_a_module_replaces_is_its_own() -> None:
    module, theirs = ModuleType("module"), torch.distributions.Categorical
    module.torch = torch  # type: ignore[attr-defined]
    distributions = own_distributions(module)
    assert own_distributions(module) is distributions, "two networks of one module replace the same classes"
    distributions.Categorical = None  # type: ignore[attr-defined]
    assert module.torch.distributions.Categorical is None
    assert module.torch.Tensor is torch.Tensor
    assert torch.distributions.Categorical is theirs
