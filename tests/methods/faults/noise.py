"""Faults to plant in the noise of draws: each breaks one thing through pytest's ``monkeypatch``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from arbench import distributions
from arbench.bench.models import chances, setup
from arbench.bench.models.verify import noise as verification
from arbench.distributions import Distribution

Patch = pytest.MonkeyPatch


def _noise(patch: Patch, change: Callable[..., Tensor]) -> None:
    right = Distribution.noise

    def noise(
        self: Distribution,
        seed: int,
        rows: Sequence[int],
        elements: range,
        dtype: Any = torch.float64,
        device: Any = "cpu",
    ) -> Tensor:
        return change(lambda s, r, e: right(self, s, r, e, dtype, device), seed, rows, elements)

    patch.setattr(Distribution, "noise", noise)


def noise_of_one_element(patch: Patch) -> None:
    """All elements have the same noise."""
    _noise(patch, lambda right, s, r, e: right(s, r, range(1)).expand(-1, len(e), -1).contiguous())


def noise_of_one_row(patch: Patch) -> None:
    """All rows have the same noise."""
    _noise(patch, lambda right, s, r, e: right(s, [0] * len(r), e))


def noise_of_one_seed(patch: Patch) -> None:
    """Noise ignores the seed."""
    _noise(patch, lambda right, s, r, e: right(0, r, e))


def noise_of_even_seeds(patch: Patch) -> None:
    """Two seeds in a row have the same noise."""
    _noise(patch, lambda right, s, r, e: right(s // 2, r, e))


def noise_from_the_row_before(patch: Patch) -> None:
    """A row's noise is that of the row before, one element later."""
    _noise(patch, lambda right, s, r, e: torch.cat([right(s, [0], range(e.start + k, e.stop + k)) for k in r]))


def noise_comes_back(patch: Patch) -> None:
    """Noise repeats after 7 elements."""
    _noise(patch, lambda right, s, r, e: right(s, r, range(7))[:, torch.tensor([n % 7 for n in e])])


def noise_of_one_value(patch: Patch) -> None:
    """All values of an element are the same."""
    _noise(patch, lambda right, s, r, e: right(s, r, e)[..., :1].repeat(1, 1, right(s, r[:1], range(1)).shape[-1]))


def noise_too_narrow(patch: Patch) -> None:
    """Noise is nine tenths of what it should be."""
    _noise(patch, lambda right, s, r, e: 0.9 * right(s, r, e))


def noise_by_length(patch: Patch) -> None:
    """The noise of an element depends on how many are asked for."""
    _noise(patch, lambda right, s, r, e: right(s + len(e), r, e))


def chance_is_the_noise(patch: Patch) -> None:
    """The uniforms of rejection come from the stream of the noise."""
    patch.setattr(chances, "uniforms", lambda seed, *more: distributions.uniforms(seed % 2**63, *more))


def chance_follows_from_the_noise(patch: Patch) -> None:
    """The uniforms of rejection are new numbers, which follow from the noise of the same element."""

    def following(seed: int, rows: range, elements: range, law: Distribution) -> Tensor:
        right = chances.chances(seed, rows, elements, law)
        u = (-(-law.noise(seed, rows, elements)[..., 0]).exp()).exp()  # of Gumbel noise
        right[..., 0] = (u + 0.37).frac().clamp(1e-9, 1 - 1e-9)
        return right

    patch.setattr(setup, "chances", following)
    patch.setattr(verification, "chances", following)


def chance_of_another_seed(patch: Patch) -> None:
    """The uniforms of rejection are not those of the run's seed."""
    patch.setattr(setup, "chances", lambda seed, *more: chances.chances(seed + 1, *more))


def noise_mirrored(patch: Patch) -> None:
    """Every second element has the opposite uniforms of the one before."""
    _noise(patch, lambda right, s, r, e: _mirrored(right, s, r, e))


def _mirrored(right: Callable[..., Tensor], s: int, r: Sequence[int], e: range) -> Tensor:
    before = right(s, r, range(e.stop))
    u = (-(-before).exp()).exp()  # of Gumbel noise
    opposite = -(-(1 - u).log()).log()
    return torch.stack([before[:, n] if n % 2 == 0 else opposite[:, n - 1] for n in e], dim=1)


def noise_follows_by_size(patch: Patch) -> None:
    """The uniforms of every second element are as far from 1/2 as those before say; no correlation shows it."""
    _noise(patch, lambda right, s, r, e: _by_size(right, s, r, e))


def _by_size(right: Callable[..., Tensor], s: int, r: Sequence[int], e: range) -> Tensor:
    made = right(s, r, range(e.stop))
    u = (-(-made).exp()).exp()  # of Gumbel noise
    far = ((u[:, : e.stop // 2 * 2 : 2] - 0.5).abs() + 0.2).remainder(0.5).clamp(1e-9, 0.5 - 1e-9)
    odd = u[:, 1::2]
    u[:, 1::2] = 0.5 + torch.where(odd < 0.5, -far, far)
    return -(-u.log()).log()[:, e.start :]


def noise_without_tail(patch: Patch) -> None:
    """Large noise is cut off."""
    _noise(patch, lambda right, s, r, e: right(s, r, e).clamp(-3, 3))


def noise_in_steps(patch: Patch) -> None:
    """Noise has few different values."""
    _noise(patch, lambda right, s, r, e: (right(s, r, e) * 4096).round() / 4096)


def noise_of_low_bits(patch: Patch) -> None:
    """Only the last 16 bits of the seed matter."""
    _noise(patch, lambda right, s, r, e: right(s % 2**16, r, e))
