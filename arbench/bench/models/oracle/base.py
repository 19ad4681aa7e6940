"""The interface of an oracle, and what several of them need."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from arbench.bench.models.oracle.families import Family


class Oracle(ABC):
    """A law of one element in float64: parameters (.., P), noise (.., K), elements (..)."""

    width: int
    """Number of parameters of an element, P."""
    noise_width: int
    """Number of noise values of an element, K."""
    choices: int = 0
    """How many of them, the first, are Gumbel noise that chooses."""
    family: Family | None = None
    """Distribution of the others."""
    levels: int | None = None
    """Number of values of an element; None for a real number."""

    @abstractmethod
    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """Return the log-probability, or log-density, in nats."""

    @abstractmethod
    def draw(self, params: Tensor, noise: Tensor) -> Tensor:
        """Return the element that the noise draws."""

    @abstractmethod
    def margin(self, params: Tensor, noise: Tensor) -> Tensor:
        """Return twice a distance that no parameter can move by and change what is decided."""

    def uniforms(self, noise: Tensor, columns: Tensor) -> Tensor:
        """Return the distribution functions of some of an element's K noise values: uniform where the noise is right.

        Args:
            noise: those values (.., C).
            columns: which they are (C,).
        """
        chooses = columns < self.choices
        inner = noise if self.family is None else self.family.cdf(noise)
        return torch.where(chooses, (-(-noise).exp()).exp(), inner)

    def sensitivity(self, params: Tensor, x: Tensor) -> Tensor:
        """Return sum |d log P / dp| (1 + |p|) over the parameters p: the effect of rounding them, and 1 beside them."""
        with torch.enable_grad():
            at = params.detach().clone().requires_grad_()
            (slope,) = torch.autograd.grad(self.log_prob(at, x).sum(), at)
        return (slope.abs() * (1 + params.abs())).nan_to_num().sum(-1)

    def probes(self, count: int, generator: torch.Generator) -> Tensor:
        """Return levels worth trying where there are too many to try all: both ends, and ``count`` at random."""
        assert self.levels is not None
        ends = torch.tensor([0, min(1, self.levels - 1), max(self.levels - 2, 0), self.levels - 1])
        return torch.cat([ends, torch.randint(self.levels, (count,), generator=generator)]).unique()

    def quadrature(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Return places x and weights w (.., Q) with sum w f(x) the integral of any f near this density.

        Raises:
            TypeError: the element is not a real number.
        """
        raise TypeError(f"{type(self).__name__} is a law of levels: sum over them")

    def invert(self, params: Tensor, x: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return the noise (.., K) that draws ``x`` and log |dz/dx|, or None where several noises draw it."""
        return None


def log_total(logs: Tensor) -> Tensor:
    """Return log sum exp over the last axis."""
    most = logs.amax(-1, keepdim=True)
    most = most.where(most.isfinite(), 0)
    return (logs - most).exp().sum(-1).log() + most.squeeze(-1)


def log_weights(logits: Tensor) -> Tensor:
    """Return the logarithms of exp(logits) / sum exp(logits)."""
    return logits - log_total(logits).unsqueeze(-1)


def lead(scores: Tensor) -> Tensor:
    """Return by how much the largest of the last axis exceeds the second; infinity where there is one alone."""
    if scores.shape[-1] == 1:
        return torch.full_like(scores[..., 0], torch.inf)
    best, second = scores.topk(2, dim=-1).values.unbind(-1)
    return best - second


def at(values: Tensor, index: Tensor) -> Tensor:
    """Return ``values`` (.., K) at ``index`` (..)."""
    return values.take_along_dim(index.unsqueeze(-1), -1).squeeze(-1)
