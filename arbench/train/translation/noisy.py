"""Noisy parallel decoding: several draws of the fertilities, and a teacher that chooses among their translations."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from arbench.models import Context, Source
from arbench.models.events.sentences import END
from arbench.train.translation.decode import Decoding, copied, fertilities


def noisy(teacher: Source, n: int, draws: int, seed: int = 0) -> Decoding:
    """Return a decoding that draws fertilities, and takes the translation that a teacher holds for the likeliest.

    The candidates are the likeliest symbols for each draw, and for the likeliest fertilities. The teacher scores each
    in one parallel pass.

    Source: Gu et al., *Non-Autoregressive Neural Machine Translation*, 2017.

    Args:
        teacher: model that scores translations.
        n: symbols of its event; sources and translations fit into it.
        draws: draws of the fertilities, beside the likeliest.
        seed: seed of the draws.
    """
    generator = torch.Generator().manual_seed(seed)

    def decode(model: Source, context: Context, size: int) -> Tensor:
        logits = fertilities(model, context, size)
        flat = logits.softmax(-1).flatten(0, 1).double().cpu()
        drawn = torch.multinomial(flat, draws, replacement=True, generator=generator).T
        candidates = [logits.argmax(-1), *drawn.reshape(draws, *logits.shape[:2]).to(logits.device)]
        code = teacher.encode({"source": _sized(context["source"], n)}, n)
        best, highest = None, None
        for fertility in candidates:
            found = copied(model, context, size, fertility)
            score = _score(teacher, _sized(found, n), code)
            if best is None or highest is None:
                best, highest = found, score
            else:
                better = score > highest
                best, highest = torch.where(better.unsqueeze(1), found, best), torch.where(better, score, highest)
        assert best is not None
        return best

    return decode


def _score(teacher: Source, x: Tensor, code: object) -> Tensor:
    """Return the log-probability (B,) of translations up to their end, under a teacher."""
    scores = teacher.distribution.log_prob(teacher(x, code), x)
    counted = teacher.counted(x)
    return (scores if counted is None else scores * counted).sum(1)


def _sized(symbols: Tensor, n: int) -> Tensor:
    """Return symbols (B, n), cut or padded with ends."""
    return pad(symbols[:, :n], (0, max(n - symbols.shape[1], 0)), value=END)
