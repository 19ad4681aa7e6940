"""Witness of the calls that are timed or counted: their outcome must be the one that was verified.

Verification judges a call that records its parameters; a timed call does not record them, and is made again and again
by a model that may keep something from the call before. So the outcome of every warm call, of the last timed call and
of every counted call is compared with the verified one, outside the clock: bit for bit, and where bits differ, by the
judgement that the method's class promises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from arbench.bench.case import CaseKey
from arbench.bench.inexact import InexactError
from arbench.bench.models.outcome import digest, has_the_shape
from arbench.bench.models.setup import ModelSetup, method_of
from arbench.bench.models.verify.method import verify_outcome
from arbench.methods import Outcome, Task
from arbench.models import Source


@dataclass
class Witness:
    """Judge of calls of one model, which are made as they are timed.

    Args:
        setup: provides the float64 twin.
        known: digests of verified outcomes, by case id; a judged outcome is added.
        twins: the model in float64, by the dtype that its weights were rounded to before; built where it is needed if
            not given.
    """

    setup: ModelSetup
    known: Mapping[str, str] = field(default_factory=dict)
    twins: dict[torch.dtype | None, Source] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._known = {case: {outcome} for case, outcome in self.known.items()}

    def learn(self, case: CaseKey, outcome: str) -> None:
        """Remember the digest of a verified outcome."""
        self._known.setdefault(case.id, set()).add(outcome)

    def check(self, source: Source, case: CaseKey, task: Task, outcome: Outcome) -> None:
        """Compare the outcome of a call with the verified one.

        Args:
            source: the model that made the call.
            case: what the call did.
            task: its input.
            outcome: what it returned.

        Raises:
            InexactError: the outcome differs from the verified one, and is wrong by the method's own class.
        """
        twin = self.twins.get(method_of(case, source).rounds)
        try:
            has_the_shape(case, outcome)
            found = digest(outcome)
            if found in self._known.get(case.id, ()):
                return
            if twin is None:  # not kept: it would take memory from what is timed
                twin = self.setup.twin(source)
            with torch.no_grad():
                verify_outcome(self.setup, source, twin, case, task, outcome)
        except InexactError as error:
            raise InexactError(f"a later call differs from the verified one: {error}", **error.facts) from None
        self.learn(case, found)
