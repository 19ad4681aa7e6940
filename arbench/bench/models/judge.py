"""The judge of a law: its oracle where there is one, the law itself where there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from arbench.bench.models.oracle import (
    GAUSSIAN,
    LOGISTIC,
    CategoricalOracle,
    DiscretisedOracle,
    LocationScaleOracle,
    MixtureOracle,
    Oracle,
    PixelOracle,
)
from arbench.distributions import (
    Categorical,
    DiscretizedLogisticMixture,
    Distribution,
    GaussianMixture,
    Logistic,
    LogisticMixture,
    Normal,
    PixelMixture,
)

ORACLES: Mapping[type[Distribution], Callable[..., Oracle]] = {
    Categorical: lambda law: CategoricalOracle(law.levels),
    DiscretizedLogisticMixture: lambda law: DiscretisedOracle(law.levels, law.components),
    GaussianMixture: lambda law: MixtureOracle(GAUSSIAN, law.components, -9.0),
    Logistic: lambda law: LocationScaleOracle(LOGISTIC, law.log_scale_floor),
    LogisticMixture: lambda law: MixtureOracle(LOGISTIC, law.components, -7.0),
    Normal: lambda law: LocationScaleOracle(GAUSSIAN, law.log_scale_floor),
    PixelMixture: lambda law: PixelOracle(law.channel_levels, law.colours, law.components),
}
"""The oracle of each law, by its exact type: a subclass is another law."""
MOST = 2**22
"""Largest number of parameters that one call of a law on all levels takes."""


class Judge:
    """A law's oracle, which computes in float64 whatever it is given.

    Args:
        oracle: the oracle.
    """

    name = "oracle"

    def __init__(self, oracle: Oracle) -> None:
        self.oracle: Oracle | None = oracle
        self._oracle = oracle

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """Return the log-probability of elements (B, N), or their log-density."""
        return self._oracle.log_prob(params.double(), _exact(x))

    def draw(self, params: Tensor, noise: Tensor) -> Tensor:
        """Return the elements (B, N) that noise draws."""
        return self._oracle.draw(params.double(), noise.double())

    def margin(self, params: Tensor, noise: Tensor) -> Tensor:
        """Return the distance of draws from another outcome, in parameter units."""
        return self._oracle.margin(params.double(), noise.double())

    def rounding(self, params: Tensor, x: Tensor, dtype: torch.dtype, known: Tensor | None = None) -> Tensor:
        """Return the error of log-probabilities (B, N) that a result of this dtype may have, in float64.

        Args:
            params: parameters (B, N, P).
            x: elements (B, N).
            dtype: the dtype of the result.
            known: what ``log_prob`` returns of them, where that is known.
        """
        found = self.log_prob(params, x) if known is None else known
        size = 1 + found.abs() + self._oracle.sensitivity(params.double(), _exact(x))
        return torch.finfo(dtype).eps * size

    def levels(self, params: Tensor) -> Tensor:
        """Return the log-probabilities (B, N, L) of every level."""
        return _levels(self, params, self._oracle.levels)


class OwnJudge(Judge):
    """A law that judges itself, on its own backend and in the dtype that it is given.

    Args:
        law: the law.
    """

    name = "self-consistent"

    def __init__(self, law: Distribution) -> None:
        self.law, self.oracle = law, None

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """Return the law's own log-probability."""
        return self.law.log_prob(params, x).double()

    def draw(self, params: Tensor, noise: Tensor) -> Tensor:
        """Return the law's own draws."""
        return self.law.draw(params, noise)

    def margin(self, params: Tensor, noise: Tensor) -> Tensor:
        """Return the law's own margins."""
        return self.law.margin(params, noise.to(params.dtype))

    def rounding(self, params: Tensor, x: Tensor, dtype: torch.dtype, known: Tensor | None = None) -> Tensor:
        """Return nothing: both sides of a comparison round alike."""
        return torch.zeros(x.shape, dtype=torch.float64, device=x.device)

    def levels(self, params: Tensor) -> Tensor:
        """Return the log-probabilities (B, N, L) of every level, by the law itself."""
        return _levels(self, params, getattr(self.law, "levels", None))


def judge_of(law: Distribution) -> Judge:
    """Return the judge of a law."""
    known = ORACLES.get(type(law))
    return Judge(known(law)) if known else OwnJudge(law)


def spread_over(params: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
    """Return parameters (E, L, P) and elements (E, L): each of E elements at each of L levels."""
    count = len(params), len(levels)
    return params[:, None].expand(*count, -1).contiguous(), levels.to(params.device).expand(count).contiguous()


def _levels(judge: Judge, params: Tensor, levels: int | None) -> Tensor:
    assert levels is not None
    if isinstance(judge.oracle, CategoricalOracle):
        return judge.oracle.all_levels(params.double())
    flat, every = params.flatten(0, 1), torch.arange(levels, device=params.device)
    step = max(MOST // (levels * params.shape[-1]), 1)
    parts = [judge.log_prob(*spread_over(flat[at : at + step], every)) for at in range(0, len(flat), step)]
    return torch.cat(parts).view(*params.shape[:2], levels)


def _exact(x: Tensor) -> Tensor:
    return x.double() if x.is_floating_point() else x
