"""The interface of a conditional distribution of one element, and the noise that determines its draws."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arbench.backends import current


def uniforms(seed: int, rows: Sequence[int], elements: range, width: int) -> Tensor:
    """Return uniform random numbers in the open interval (0, 1), addressed by (seed, row, element).

    The generator is counter-based (Philox 4x64): the numbers of an element do not depend on the batch, length or chunk
    of the request, and none are stored.

    Args:
        seed: seed of the run, non-negative.
        rows: global row indices of the batch.
        elements: range of elements of each row, with step 1.
        width: count of numbers per element.

    Returns:
        Multiples of 2^-53, float64, (len(rows), len(elements), width).
    """
    blocks = -(-width // 4)
    out = np.empty((len(rows), len(elements), width))
    for i, row in enumerate(rows):
        bits = np.random.Philox(counter=elements.start * blocks, key=(seed << 64) + row)
        raw = bits.random_raw(len(elements) * blocks * 4).reshape(len(elements), blocks * 4)
        out[i] = ((raw[:, :width] >> np.uint64(12)) + 0.5) * 2.0**-52
    return torch.from_numpy(out)


def gumbel(u: Tensor) -> Tensor:
    """Return standard Gumbel noise from uniforms: -log(-log u)."""
    return -torch.log(-torch.log(u))


def logistic(u: Tensor) -> Tensor:
    """Return standard logistic noise from uniforms: log u - log(1 - u)."""
    return torch.log(u) - torch.log1p(-u)


HALF = frozenset((torch.float16, torch.bfloat16))


def at_least_float32(x: Tensor) -> Tensor:
    """Return half precision as float32, and other dtypes unchanged.

    Half precision represents neither 65,536 levels nor the difference of two of them, and no square above 65,504.
    """
    return x.float() if x.dtype in HALF else x


def kernel_for(name: str, backend: str, x: Tensor) -> Callable[..., Any] | None:
    """Return the kernel ``name`` of ``arbench.kernels`` on a backend, for numbers like ``x``.

    The result is None where plain PyTorch runs instead: on the eager backend, for a kernel without that backend, and
    on Numba in half precision.
    """
    if backend == "eager":  # at once: this is asked for every element
        return None
    backend = current(backend)
    if backend == "eager" or (backend == "numba" and x.dtype not in (torch.float32, torch.float64)):
        return None
    from arbench.kernels import KERNELS  # imports Triton, which only callers of a kernel need

    found = KERNELS[name]
    return partial(found.call, backend=backend) if backend in found.backends else None


class Distribution(ABC):
    """Distribution of one element given its parameters; every draw is a function of (parameters, noise).

    Shapes: parameters (B, M, P), noise (B, M, K), elements (B, M).

    A NaN among the parameters of an element makes its log-probability NaN, on every backend. No draw waits for the host
    to look: a finite distribution draws one of its levels all the same, where NaN is the highest score of an arg-max
    and level 0 where a number is rounded; a real element may be NaN.
    """

    backend: str = "eager"
    """Backend that runs draws and log-probabilities where it has a kernel for them; one of
    ``arbench.backends.BACKENDS``."""
    finite: bool
    """True if an element takes the values 0 .. levels-1 (int64); False if it is a real number."""
    params_width: int
    """Number of parameters per element, P."""
    noise_width: int
    """Number of noise values per element, K."""

    @abstractmethod
    def standard(self, u: Tensor) -> Tensor:
        """Return this distribution's standard noise from uniforms (B, M, K), elementwise."""

    def noise(
        self,
        seed: int,
        rows: Sequence[int],
        elements: range,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Return standard noise (B, M, K) for a draw, computed in float64 on the host and rounded to ``dtype``.

        A finite distribution's noise is rounded to float32 for half precision, in which one draw of a few hundred
        classes in seventy would be a tie.
        """
        exact = self.standard(uniforms(seed, rows, elements, self.noise_width))
        half = dtype in HALF
        return exact.to(device, torch.float32 if self.finite and half else dtype)

    @abstractmethod
    def draw(self, params: Tensor, z: Tensor) -> Tensor:
        """Return elements (B, M) drawn from parameters (B, M, P) with standard noise (B, M, K)."""

    @abstractmethod
    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """Return the log-probability, or log-density, of ``x`` in nats, (B, M)."""

    def margin(self, params: Tensor, z: Tensor) -> Tensor:
        """Return the distance of a draw from another outcome, in parameter units, (B, M), non-negative.

        As long as no parameter moves by more than half of it, the draw stays the same; a real element stays in the
        same mixture component. The default is infinity, for distributions without a discrete decision.
        """
        return params.new_full(params.shape[:-1], torch.inf)

    def cdf(self, params: Tensor, x: Tensor) -> Tensor:
        """Return P(X <= x) of a real element, (B, M).

        It is uniform on (0, 1) for the distribution's own draws (the probability integral transform).

        Raises:
            TypeError: the distribution is finite.
        """
        raise TypeError(f"{type(self).__name__} is finite: it has no continuous distribution function")

    def invert(self, params: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the noise (B, M, K) that draws ``x``, and log |dz/dx| (B, M).

        Raises:
            TypeError: the distribution is not invertible.
        """
        raise TypeError(f"{type(self).__name__} has no inverse: several noise values draw the same element")
