"""One forward pass: scoring where the network reads events, sampling where it reads noise."""

from __future__ import annotations

from arbench.methods.base import Method, Outcome, Task
from arbench.models import Source


def score(source: Source, task: Task) -> Outcome:
    """Compute log P(x) per element, with all parameters from one pass."""
    assert task.x is not None
    params = source(task.x, source.encode(task.context, task.n))
    return Outcome(task.x, task.x, params, source.distribution.log_prob(params, task.x))


def sample(source: Source, task: Task) -> Outcome:
    """Draw all elements at once from their noise."""
    assert task.noise is not None
    if task.given is not None:
        raise ValueError("elements cannot be given to a model that reads noise")
    f = task.noise.squeeze(-1)
    params = source(f, source.encode(task.context, task.n))
    return Outcome(source.distribution.draw(params, task.noise), f, params)


def own_samples(source: Source, task: Task) -> Outcome:
    """Compute log P(x) of the model's own samples, whose known noise makes inversion unnecessary."""
    assert task.noise is not None
    assert task.x is not None
    f = task.noise.squeeze(-1)
    params = source(f, source.encode(task.context, task.n))
    return Outcome(task.x, f, params, source.distribution.log_prob(params, task.x))


PARALLEL_SCORE = Method("parallel", "score", "x", score, "one forward pass over the whole event", reference=True)
PARALLEL_SAMPLE = Method("parallel", "sample", "z", sample, "one forward pass over the whole noise", reference=True)
OWN_SAMPLES = Method(
    "own_samples",
    "score",
    "z",
    own_samples,
    "one forward pass; only for samples whose noise is known",
)
