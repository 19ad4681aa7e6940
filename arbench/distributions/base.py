"""What a conditional distribution of one element must offer, and the noise that drives its draws."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor


def uniforms(seed: int, rows: Sequence[int], elements: range, width: int) -> Tensor:
    """Uniform random numbers in the open interval (0, 1), addressed by (seed, row, element).

    Counter-based (Philox 4x64): the numbers of an element are the same whatever batch, length or chunk
    they are asked for in, and none needs to be stored.

    Args:
        seed: of the run, non-negative.
        rows: global row indices of the batch.
        elements: which elements of each row, step 1.
        width: numbers an element needs.

    Returns:
        float64, (len(rows), len(elements), width), multiples of 2^-53.
    """
    blocks = -(-width // 4)
    out = np.empty((len(rows), len(elements), width))
    for i, row in enumerate(rows):
        bits = np.random.Philox(counter=elements.start * blocks, key=(seed << 64) + row)
        raw = bits.random_raw(len(elements) * blocks * 4).reshape(len(elements), blocks * 4)
        out[i] = ((raw[:, :width] >> np.uint64(12)) + 0.5) * 2.0**-52
    return torch.from_numpy(out)


def gumbel(u: Tensor) -> Tensor:
    """Standard Gumbel noise from uniforms: -log(-log u)."""
    return -torch.log(-torch.log(u))


def logistic(u: Tensor) -> Tensor:
    """Standard logistic noise from uniforms: log u - log(1 - u)."""
    return torch.log(u) - torch.log1p(-u)


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision widened: it holds neither 65,536 levels nor a difference of two of them, and no square
    above 65,504."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def kernel_for(name: str, backend: str, x: Tensor) -> Callable[..., Any] | None:
    """The kernel ``name`` of ``arbench.kernels`` on a backend for numbers like ``x``, or None where plain
    PyTorch is meant: on the reference, for a kernel that has no such backend, and for half precision, which
    Numba does not have."""
    if backend == "reference" or (backend == "numba" and x.dtype not in (torch.float32, torch.float64)):
        return None
    from arbench.kernels import KERNELS  # Triton is imported by who asks for a kernel

    found = KERNELS[name]
    return partial(found.call, backend=backend) if backend in found.backends else None


class Distribution(ABC):
    """Law of one element given its parameters; every draw is a function of (parameters, noise).

    Shapes: parameters (B, M, P), noise (B, M, K), elements (B, M).
    """

    backend: str = "reference"
    """What runs draws and log-probabilities where there is a kernel for them: one of
    ``arbench.kernels.core.spec.BACKENDS``."""
    finite: bool
    """Whether an element takes finitely many values, 0 .. levels-1 (int64); else it is a real number."""
    params_width: int
    """P."""
    noise_width: int
    """K."""

    @abstractmethod
    def standard(self, u: Tensor) -> Tensor:
        """Turns uniforms (B, M, K) into this distribution's standard noise, elementwise."""

    def noise(
        self,
        seed: int,
        rows: Sequence[int],
        elements: range,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Standard noise (B, M, K) for a draw. Made in float64 on the host, then rounded to ``dtype``."""
        return self.standard(uniforms(seed, rows, elements, self.noise_width)).to(device, dtype)

    @abstractmethod
    def draw(self, params: Tensor, z: Tensor) -> Tensor:
        """Elements (B, M) from parameters (B, M, P) and standard noise (B, M, K)."""

    @abstractmethod
    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """Log-probability, or log-density, in nats: (B, M)."""

    def margin(self, params: Tensor, z: Tensor) -> Tensor:
        """How far, in parameter units, a draw was from another outcome: (B, M), non-negative.

        No parameter may move by more than half of this without the draw being the same; or, of a real
        element, without it being of the same component. By default infinite: there is nothing to decide.
        """
        return params.new_full(params.shape[:-1], torch.inf)

    def cdf(self, params: Tensor, x: Tensor) -> Tensor:
        """P(X <= x) of a real element, (B, M): uniform on (0, 1) for its draws (the probability integral
        transform). Continuous distributions only."""
        raise TypeError(f"{type(self).__name__} is finite: it has no continuous distribution function")

    def invert(self, params: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Noise (B, M, K) that draws ``x``, and log |dz/dx| (B, M). Of invertible distributions only."""
        raise TypeError(f"{type(self).__name__} has no inverse: many noises draw the same element")
