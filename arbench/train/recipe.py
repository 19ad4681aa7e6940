"""A recipe: how long a model is trained, on what batches, and at which learning rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


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
        held_out_prefix: elements of context of each window when the held-out part is scored at the end; see
            ``at_the_end``.
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
    held_out_prefix: int | None = None

    def rate(self, step: int) -> float:
        """Return the learning rate of update ``step``, counted from 0."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        passed = (step - self.warmup) / max(self.steps - 1 - self.warmup, 1)
        return self.lr * (self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * min(passed, 1.0))))

    def averaging(self, step: int) -> float:
        """Return the decay of the moving average at update ``step``, counted from 0."""
        return min(self.average, (1 + step) / (10 + step))

    def at_the_end(self, receptive_field: int | None) -> tuple[int, int]:
        """Return the elements of a window when the held-out part is scored at the end, and how many are context alone.

        A window scores as many elements as at validation, after more or less context: ``held_out_prefix`` elements or,
        where that is None, as many as the model looks back; ``prefix`` if that has no bound.

        Args:
            receptive_field: number of elements that the model looks back; None for no bound.
        """
        context = self.held_out_prefix
        if context is None:
            context = self.prefix if receptive_field is None else receptive_field
        return (self.eval_n or self.n) - self.prefix + context, context

    @classmethod
    def of(cls, stated: Mapping[str, Any]) -> Recipe:
        """Return the recipe that a checkpoint states; settings from after its time have their defaults."""
        known = {field.name: stated[field.name] for field in fields(cls) if field.name in stated}
        return cls(**{**known, "betas": tuple(known.get("betas", cls.betas))})

    def wrong(self) -> str | None:
        """Return what is wrong with the settings and what would be right, on one line; None if nothing is."""
        least = {"steps": 1, "batch": 1, "n": 1, "prefix": 0, "warmup": 0, "every": 1, "patience": 0, "seed": 0}
        for name, low in least.items():
            if getattr(self, name) < low:
                return f"{name} must be at least {low}, got {getattr(self, name)}"
        for name, low in (("eval_n", 1), ("held_out_prefix", 0)):
            value = getattr(self, name)
            if value is not None and value < low:
                return f"{name} must be at least {low}, got {value}"
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
