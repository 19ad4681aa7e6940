"""Draws of a foreign sampler by the noise of a task: its own distribution object, without its own random numbers."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from arbench.methods.base import Task


class NoiseDraws:
    """The categorical draws of one call, one element after the other.

    A draw is arg-max(log p + Gumbel noise), as in ``arbench.distributions.Categorical``.

    Args:
        task: the job; its noise (B, N, K) is read in the order of the elements.
    """

    def __init__(self, task: Task) -> None:
        assert task.noise is not None
        self._noise = task.noise
        self._at = 0
        self._kept: list[Tensor] | None = [] if task.record else None

    @property
    def params(self) -> Tensor | None:
        """The log-probabilities (B, N, K) that were drawn from, if the task records."""
        return None if self._kept is None else torch.stack(self._kept, dim=1)

    def draw(self, probs: Tensor) -> Tensor:
        """Return the next element (..) of each row from its probabilities (.., at least K), the rest of which are 0."""
        noise = self._noise[:, self._at]
        self._at += 1
        log_p = probs[..., : noise.shape[-1]].log()
        if self._kept is not None:
            self._kept.append(log_p.reshape(noise.shape))
        return (log_p + noise.view(log_p.shape)).argmax(-1)

    def categorical(self) -> type[torch.distributions.Categorical]:
        """Return ``torch.distributions.Categorical`` with these draws."""
        draw = self.draw

        class Categorical(torch.distributions.Categorical):
            def sample(self, sample_shape: Any = ()) -> Tensor:
                return draw(self.probs)

        return Categorical

    def one_hot_categorical(self) -> type[torch.distributions.OneHotCategorical]:
        """Return ``torch.distributions.OneHotCategorical`` with these draws."""
        draw = self.draw

        class OneHotCategorical(torch.distributions.OneHotCategorical):
            def sample(self, sample_shape: Any = ()) -> Tensor:
                chosen = draw(self.probs).unsqueeze(-1)  # one_hot would read its smallest and largest value
                return torch.zeros_like(self.probs).scatter_(-1, chosen, 1)

        return OneHotCategorical


def own_distributions(module: ModuleType) -> ModuleType:
    """Give a module that imports torch a ``torch.distributions`` of its own, once, and return it.

    Its classes can be replaced for that module alone.
    """
    if module.torch is torch:
        module.torch = _copied(torch)  # type: ignore[attr-defined]
        module.torch.distributions = _copied(torch.distributions)
    distributions: ModuleType = module.torch.distributions
    return distributions


def _copied(module: ModuleType) -> ModuleType:
    copy = ModuleType(module.__name__)
    copy.__dict__.update(module.__dict__)
    return copy
