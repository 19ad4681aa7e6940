"""Witness of the calls that are timed or counted: their outcome must be the one that was verified.

Verification judges a call that records its parameters; a timed call does not record them, and is made again and again
by a model that may keep something from the call before. So the outcome of every warm call, of the last timed call and
of every counted call is compared with the verified one, outside the clock: bit for bit, and where bits differ, by the
judgement that the method's class promises.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from arbench.bench.case import CaseKey
from arbench.bench.inexact import InexactError
from arbench.bench.models.setup import ModelSetup
from arbench.methods import Outcome, Task
from arbench.models import Source


def digest(outcome: Outcome) -> str:
    """Return a fingerprint of the bits of what a call returned: events, feed and log-probabilities.

    The parameters are left out, since only a recording call returns them.
    """
    found = hashlib.blake2b(digest_size=16)
    for tensor in (outcome.x, outcome.f, outcome.log_prob):
        found.update(_described(tensor))
    return found.hexdigest()


def _described(tensor: Tensor | None) -> bytes:
    if tensor is None:
        return b"none"
    plain = tensor.detach().contiguous().cpu()
    return f"{plain.dtype} {tuple(plain.shape)}".encode() + plain.view(torch.uint8).numpy().tobytes()


@dataclass
class Witness:
    """Judge of calls of one model, which are made as they are timed.

    Args:
        setup: provides the float64 twin.
        known: digests of verified outcomes, by case id; a judged outcome is added.
        twin: the model in float64; built where it is needed if not given.
    """

    setup: ModelSetup
    known: Mapping[str, str] = field(default_factory=dict)
    twin: Source | None = None

    def __post_init__(self) -> None:
        self._known = dict(self.known)

    def learn(self, case: CaseKey, outcome: str) -> None:
        """Remember the digest of a verified outcome."""
        self._known[case.id] = outcome

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
        if not isinstance(outcome, Outcome):
            raise InexactError(f"a call that is timed returned {type(outcome).__name__}, expected an Outcome")
        found = digest(outcome)
        if self._known.get(case.id) == found:
            return
        from arbench.bench.models.verify_method import judge

        if self.twin is None:
            self.twin = self.setup.twin(source)
        with torch.no_grad():
            try:
                judge(source, self.twin, case, task, outcome)
            except InexactError as error:
                raise InexactError(f"a call that is timed or counted differs: {error}", **error.facts) from None
        self._known[case.id] = found
