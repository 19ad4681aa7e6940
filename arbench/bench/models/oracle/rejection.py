"""The oracle of rejection sampling: the fate of a guess, given both laws and the uniforms."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from arbench.bench.models.oracle.base import at


@dataclass(frozen=True)
class Verdict:
    """The fate of guesses, each (..).

    Attributes:
        x: the guess where it is kept, and what is drawn in its place elsewhere.
        kept: True where the guess is kept.
        sure: True where the errors of the log-probabilities change neither.
        closeness: distance from the border between keeping and not, over the error of the log-probabilities.
    """

    x: Tensor
    kept: Tensor
    sure: Tensor
    closeness: Tensor


def judged(guess: Tensor, log_p: Tensor, log_q: Tensor, chance: Tensor, off_p: Tensor, off_q: Tensor) -> Verdict:
    """Keep a guess x of the law q with probability min(1, p(x) / q(x)); draw another from (p - q)+ in its place.

    The guess is kept where u < p(x) / q(x). The other is the level with the largest sum of log (p - q)+ and the Gumbel
    noise -log(-log u) of its own uniform.

    Args:
        guess: levels (..).
        log_p: log-probabilities (.., L) of the target.
        log_q: log-probabilities (.., L) of the draft.
        chance: uniforms (.., 1 + L): one to keep the guess, one for each level.
        off_p: error of the target's log-probabilities (..).
        off_q: error of the draft's log-probabilities (..).
    """
    error = off_p + off_q
    gap = at(log_p, guess) - at(log_q, guess) - chance[..., 0].log()
    kept = gap > 0
    p, q, noise = log_p.exp(), log_q.exp(), -(-chance[..., 1:].log()).log()
    more, doubt = p - q, 2 * (p * off_p.unsqueeze(-1) + q * off_q.unsqueeze(-1))
    rest = more.clamp_min(0)
    rest = torch.where(rest.sum(-1, keepdim=True) > 0, rest, p)
    other = (rest.log() + noise).max(-1).indices
    least = at((more - doubt).clamp_min(0).log() + noise, other)
    rivals = (more + doubt).clamp_min(0).log() + noise
    rival = rivals.scatter(-1, other.unsqueeze(-1), -torch.inf).amax(-1)
    closeness = gap.abs() / error
    sure = (closeness > 2) & (kept | (least > rival))
    return Verdict(torch.where(kept, guess, other), kept, sure, closeness)
