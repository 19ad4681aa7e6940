"""Probability density distillation: a student's density comes close to its teacher's, on the student's own draws.

Source: van den Oord et al., *Parallel WaveNet: Fast High-Fidelity Speech Synthesis*, 2017, section 4.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from arbench.distributions import Logistic, uniforms
from arbench.models import Context, Source
from arbench.models.parallel_wavenet import ParallelWaveNet
from arbench.train.distill.base import Distilled
from arbench.train.distill.power import power_loss
from arbench.train.distill.teacher import Teacher
from arbench.train.events import event
from arbench.train.loop import Progress
from arbench.train.parts import scored
from arbench.train.quality import Quality, batches
from arbench.train.recipe import Recipe
from arbench.train.run import Run, trained

RECIPE = Recipe(steps=2000, batch=2, n=5000, eval_n=5000, lr=1e-3, average=0.995, every=100)
SETTINGS: Mapping[str, int | float] = {"samples": 8, "power": 1.0}
MEASURE = "divergence plus power loss"
_NOISE, _DRAWS = 2**61, 2**60
"""Offsets of the seed for the noise of an event, and for that of the further draws of an element."""
_UNHEARD = 2**40
"""First row of the noise that no update has."""
_EVENTS = 64
"""Events by whose loudness the student begins."""


def divergence(student: Source, teacher: Source, z: Tensor, more: Tensor, context: Context) -> tuple[Tensor, Tensor]:
    """Estimate the divergence of a student from its teacher, KL(student || teacher), for each element of a draw.

    The student's conditional law of an element is a logistic, whose entropy is log scale + 2 nats. The cross-entropy is
    the mean of the teacher's negative log-density at further draws of the element, given the elements before it. Both
    are differentiable in the student's weights, through the draws and through what the teacher reads.

    Args:
        student: model with ``feeds == "z"`` and logistic elements.
        teacher: model of the same events, with ``feeds == "x"`` and real elements.
        z: standard noise of the draw (B, N, 1).
        more: standard noise of the further draws (B, N, K).
        context: conditioning of both.

    Returns:
        The divergence in nats (B, N), and the draw (B, N).
    """
    n = z.shape[1]
    params = student(z.squeeze(-1), student.encode(context, n))
    x = student.distribution.draw(params, z)
    draws = student.distribution.draw(params.unsqueeze(-2), more.unsqueeze(-1))
    theirs = teacher(x, teacher.encode(context, n))
    cross_entropy = -teacher.distribution.log_prob(theirs.unsqueeze(-2), draws).mean(-1)
    return cross_entropy - entropy(params), x


def entropy(params: Tensor) -> Tensor:
    """Return the entropy in nats (B, N) of logistics with parameters (B, N, 2): log scale + 2."""
    return params[..., 1] + 2


class Density:
    """Objective of ``train``: the divergence from a teacher in bits per element, plus a power loss.

    A student without the power loss may whisper: draws of high likelihood are quiet.

    Args:
        teacher: the teacher, which stays as it is.
        training: part whose conditioning and power the student learns from, as ``Source.divide`` returns it.
        validation: part whose conditioning the divergence is measured on.
        recipe: size of events and batches.
        samples: further draws of an element that the teacher scores.
        power: weight of the power loss.
    """

    def __init__(
        self, teacher: Source, training: Any, validation: Any, recipe: Recipe, samples: int = 8, power: float = 1.0
    ) -> None:
        self.teacher = teacher.eval().requires_grad_(False)
        self.training, self.validation, self.recipe = training, validation, recipe
        self.samples, self.power = samples, power

    @torch.no_grad()
    def initialise(self, model: Source) -> None:
        """Let the student begin with noise as loud as the training part."""
        assert isinstance(model, ParallelWaveNet)
        r = self.recipe
        x, _ = event(model, r.n, range(_UNHEARD, _UNHEARD + _EVENTS), r.seed, self.training)
        model.scale_to(max(float(x.std()), model.cell or 0.0))

    def loss(self, model: Source, step: int) -> Tensor:
        """Return divergence and power loss of the batch of a step."""
        r = self.recipe
        rows = range(step * r.batch, (step + 1) * r.batch)
        real, context = event(model, r.n, rows, r.seed, self.training)
        nats, drawn = divergence(model, self.teacher, *self._noise(model, rows, r.n), context)
        bits = nats.mean() / math.log(2)
        return bits + self.power * power_loss(drawn, real).mean() if self.power else bits

    def quality(self, model: Source) -> Quality:
        """Return what training minimises, on noise and conditioning that the student does not learn from.

        The best step is chosen by it: by divergence alone, a student that whispers could be the best.
        """
        found, power = self.judged(model, self.validation)
        terms = {"divergence": found.bits, "power_loss": power}
        return replace(found, bits=found.bits + self.power * power, figures=terms)

    def unit(self, model: Source) -> str:
        """Return the unit of the quality."""
        more = f", plus {self.power:g} times the power loss" if self.power else ""
        return f"bits of divergence from the teacher per {model.element}{more}"

    @torch.no_grad()
    def judged(self, model: Source, data: Any) -> tuple[Quality, float]:
        """Return divergence in bits per element and mean power loss, under the conditioning of a part of the data."""
        r, row, losses = self.recipe, _UNHEARD, []
        model.eval()
        parts: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for x, context, pieces in batches(model, data, r.eval_n or r.n, 0, 4, r.seed):
            rows = range(row, row := row + len(pieces))
            nats, drawn = divergence(model, self.teacher, *self._noise(model, rows, x.shape[1]), context)
            losses += power_loss(drawn, x).tolist()
            for piece, bits in zip(pieces, (nats.double().sum(1) / math.log(2)).tolist(), strict=True):
                parts[piece.part][0] += bits
                parts[piece.part][1] += piece.n
        whole = {part: (bits, int(count)) for part, (bits, count) in parts.items()}
        elements = sum(count for _, count in whole.values())
        apart = Quality(sum(bits for bits, _ in whole.values()) / elements, elements, whole)
        return apart, sum(losses) / len(losses)

    def _noise(self, model: Source, rows: Sequence[int], n: int) -> tuple[Tensor, Tensor]:
        like, law = next(model.parameters()), model.distribution
        z = law.noise(self.recipe.seed + _NOISE, rows, range(n), like.dtype, like.device)
        more = law.standard(uniforms(self.recipe.seed + _DRAWS, rows, range(n), self.samples))
        return z, more.to(like.device, like.dtype)


def refusal(student: Source, teacher: Source) -> str | None:
    """Return why the teacher cannot teach the student, on one line; None if it can."""
    name = type(teacher).__name__
    if teacher.feeds == "z":
        return f"a {name} is a student itself; name a model that reads audio, such as a trained wavenet:teacher"
    if teacher.rate_hz is None:
        return f"a {name} is no model of audio, and the student is; name a trained wavenet:teacher"
    if teacher.distribution.finite:
        return (
            "its elements are levels, and a student's density needs a continuous law to come close to; train a teacher "
            "with loss=logistic_mixture, such as wavenet:teacher"
        )
    if not isinstance(student.distribution, Logistic):
        return f"the student's law is a {type(student.distribution).__name__}; only a logistic has this closed entropy"
    for fact in ("rate_hz", "local", "hop", "classes"):
        have, want = getattr(teacher, fact, None), getattr(student, fact, None)
        if have != want and (fact != "hop" or getattr(student, "local", 0)):
            return (
                f"it has {fact} {have:g}, and the student {want:g}; choose a preset of the student with {fact}={have:g}"
            )
    return None


def wrong(settings: Mapping[str, Any]) -> str | None:
    """Return which setting is impossible and what would be right, on one line; None if all are possible."""
    if settings["samples"] < 1:
        return f"samples must be at least 1, got {settings['samples']}"
    if not 0 <= settings["power"] < math.inf:
        return f"power must be at least 0, got {settings['power']}"
    return None


def distil(
    run: Run,
    student: Source,
    teacher: Teacher,
    settings: Mapping[str, Any],
    *,
    resume: bool,
    report: Callable[[Progress], None],
) -> Distilled:
    """Distil a teacher into a student; see ``Distiller.distil``.

    Both are scored on the same windows of the held-out audio, after as much context as the teacher looks back, and
    dequantised with the same noise: the student by inversion, step by step.
    """
    r, data = run.recipe, run.data
    objective = Density(teacher.model, data.training, data.validation, r, settings["samples"], settings["power"])
    facts = {"teacher": teacher.spec, "teacher_sha256": teacher.sha256, "best by": MEASURE, **settings}
    seen = teacher.model.receptive_field  # a student is inverted, and looks back without a bound
    result, quality = trained(run, student, objective, receptive_field=seen, facts=facts, resume=resume, report=report)
    theirs = scored(teacher.model, data, r)
    apart, power = objective.judged(student, data.held_out)
    unit = student.unit
    first, best = result.curve[0], min(result.curve, key=lambda line: line["quality"])
    lines = [
        "divergence from the teacher on noise and conditioning not trained on, bits per "
        f"{student.element}: {first['divergence']:.3f} at step {first['step']:,}, {best['divergence']:.3f} at step "
        f"{best['step']:,}, the best by divergence plus power loss; {apart.bits:.3f} on the held-out part",
        f"power loss, where silence has 1: {first['power_loss']:.3f}, {best['power_loss']:.3f} and {power:.3f} there",
        f"held-out audio, {quality.elements:,} samples: student {quality.bits:.3f}, teacher {theirs.bits:.3f} {unit}",
    ]
    figures = {
        "teacher": teacher.spec,
        "teacher_sha256": teacher.sha256,
        "teacher_bits": theirs.bits,
        "student_bits": quality.bits,
        "elements": quality.elements,
        "unit": unit,
        "divergence_bits": apart.bits,
        "power_loss": power,
        "best_by": MEASURE,
        **settings,
    }
    return Distilled(result, quality, lines, figures)
