"""Maximum likelihood: the loss is the bits of the training part, the quality those of the held-out part."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from arbench.models import Source
from arbench.train.events import event
from arbench.train.quality import Quality, log_probs, measured
from arbench.train.recipe import Recipe


class Likelihood:
    """Objective of ``train``: bits per element of random events of the training part.

    Args:
        training: part to train on, as ``Source.divide`` returns it.
        validation: part to choose the best step by.
        recipe: size of events and batches.
    """

    def __init__(self, training: Any, validation: Any, recipe: Recipe) -> None:
        self.training, self.validation, self.recipe = training, validation, recipe

    @torch.no_grad()
    def initialise(self, model: Source) -> None:
        """Initialise the weights from the first batch, where the model's publication does so."""
        x, context = self.batch(model, 0)
        model.initialise(x, model.encode(context, x.shape[1]))

    def loss(self, model: Source, step: int) -> Tensor:
        """Return bits per element of the batch of a step, which depends on nothing but the step and the seed."""
        x, context = self.batch(model, step)
        bits = -log_probs(model, x, context) / math.log(2)
        counted = model.counted(x)
        return bits.mean() if counted is None else bits[counted].mean()

    def batch(self, model: Source, step: int) -> tuple[Tensor, Any]:
        """Return the events of a step and their context."""
        r = self.recipe
        return event(model, r.n, range(step * r.batch, (step + 1) * r.batch), r.seed, self.training)

    def quality(self, model: Source) -> Quality:
        """Return the bits of the validation part."""
        r = self.recipe
        return measured(model, self.validation, r.eval_n or r.n, r.prefix, seed=r.seed)

    def unit(self, model: Source) -> str:
        """Return the unit of the quality."""
        return f"{model.unit}, validation part"
