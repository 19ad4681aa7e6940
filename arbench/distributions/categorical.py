"""Softmax over a finite alphabet, drawn by the Gumbel arg-max."""

from __future__ import annotations

import torch
from torch import Tensor

from arbench.distributions.base import HALF, Distribution, gumbel, kernel_for

FLOAT16, BFLOAT16 = torch.float16, torch.bfloat16


def scores(params: Tensor, z: Tensor) -> Tensor:
    """Return logits plus noise, at least in float32, in which PyTorch adds half precision to float32."""
    added = params + z
    return added if added.dtype not in HALF else params.float() + z.float()


class Categorical(Distribution):
    r"""Elements 0 .. levels-1 with probabilities softmax(logits); the parameters are the logits.

    A draw is arg-max(logits + Gumbel noise), and ties go to the first class (Gumbel, 1954; Maddison et al.,
    *A\* Sampling*, 2014). There is one noise value per class. Half precision is computed in float32, and its
    log-probabilities are float32. A row with NaN among its logits draws the first such class.
    """

    finite = True

    def __init__(self, levels: int) -> None:
        if levels < 1:
            raise ValueError(f"levels must be at least 1, got {levels}")
        self.levels = self.params_width = self.noise_width = levels

    def standard(self, u: Tensor) -> Tensor:
        """Return Gumbel noise."""
        return gumbel(u)

    def draw(self, params: Tensor, z: Tensor) -> Tensor:
        """Return the class with the largest sum of logit and noise."""
        if self.backend == "eager":  # written out: a draw of one element feels every call
            added = params + z
            if (dtype := added.dtype) is FLOAT16 or dtype is BFLOAT16:
                added = params.float() + z.float()
            return added.argmax(-1)
        sample = kernel_for("sample_from_logits", self.backend, params)
        return scores(params, z).argmax(-1) if sample is None else sample(params, z)[0]

    def margin(self, params: Tensor, z: Tensor) -> Tensor:
        """Return the difference of the two largest sums of logit and noise."""
        if self.levels == 1:
            return torch.full(params.shape[:-1], torch.inf, dtype=params.dtype, device=params.device)
        best = scores(params, z).topk(2, dim=-1).values
        return best[..., 0] - best[..., 1]

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """Return the log-softmax at the class."""
        eager = self.backend == "eager"
        log_prob = None if eager else kernel_for("log_prob_from_logits", self.backend, params)
        if log_prob is not None:
            return log_prob(params, x)
        if (dtype := params.dtype) is FLOAT16 or dtype is BFLOAT16:
            params = params.float()
        return params.log_softmax(-1).gather(-1, x.unsqueeze(-1)).squeeze(-1)
