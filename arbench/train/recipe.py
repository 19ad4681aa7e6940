"""A recipe: how long a model is trained, on what batches, and at which learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Settings of a training run.

    The optimiser is Adam with decoupled weight decay (Loshchilov and Hutter, 2019). Its learning rate rises linearly
    over ``warmup`` steps, and then falls along half a cosine to ``floor`` times its peak at the last step.

    Args:
        steps: number of updates.
        batch: events of an update.
        n: elements of an event.
        prefix: elements at the start of a held-out window that are context alone, not scored; below ``eval_n``.
        eval_n: elements of a held-out window; None for ``n``.
        lr: peak of the learning rate.
        warmup: steps until the peak.
        floor: learning rate of the last step over the peak.
        betas: Adam's decay rates of the mean gradient and of its square.
        decay: weight decay, times the learning rate a step.
        clip: largest norm of the gradient of all weights together; a larger one is scaled down to it.
        average: decay a step of the moving average of weights; 0 for the weights themselves. The average is what is
            evaluated and saved. It forgets faster at first: its decay is at most (1 + step) / (10 + step).
        every: steps between evaluations, each of which may save the model and always saves the state.
        patience: evaluations without a better one after which training stops; 0 for never.
        seed: seed of the initial weights and of the batches.
    """

    steps: int = 2000
    batch: int = 16
    n: int = 64
    prefix: int = 0
    eval_n: int | None = None
    lr: float = 1e-3
    warmup: int = 100
    floor: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    decay: float = 0.0
    clip: float = 1.0
    average: float = 0.999
    every: int = 200
    patience: int = 0
    seed: int = 0

    def rate(self, step: int) -> float:
        """Return the learning rate of update ``step``, counted from 0."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        passed = (step - self.warmup) / max(self.steps - 1 - self.warmup, 1)
        return self.lr * (self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * min(passed, 1.0))))

    def averaging(self, step: int) -> float:
        """Return the decay of the moving average at update ``step``, counted from 0."""
        return min(self.average, (1 + step) / (10 + step))

    def wrong(self) -> str | None:
        """Return what is wrong with the settings and what would be right, on one line; None if nothing is."""
        least = {"steps": 1, "batch": 1, "n": 1, "prefix": 0, "warmup": 0, "every": 1, "patience": 0, "seed": 0}
        for name, low in least.items():
            if getattr(self, name) < low:
                return f"{name} must be at least {low}, got {getattr(self, name)}"
        if self.eval_n is not None and self.eval_n < 1:
            return f"eval_n must be at least 1, got {self.eval_n}"
        for name in ("lr", "clip"):
            if not 0 < getattr(self, name) < math.inf:
                return f"{name} must be a positive number, got {getattr(self, name)}"
        for name in ("average", *(["floor"] if self.floor != 1 else [])):
            if not 0 <= getattr(self, name) < 1:
                return f"{name} must be at least 0 and below 1, got {getattr(self, name)}"
        if not 0 <= self.decay < math.inf:
            return f"decay must be at least 0, got {self.decay}"
        if self.warmup > self.steps:
            return f"warmup takes {self.warmup} steps, and the run has {self.steps}; choose fewer"
        if self.prefix >= (self.eval_n or self.n):
            return f"prefix must be below the {self.eval_n or self.n} elements of a window, got {self.prefix}"
        return None
