"""The power loss: a student speaks as loudly as real speech at every frequency."""

from __future__ import annotations

import torch
from torch import Tensor

WINDOW, HOP = 1024, 256
"""Samples of a window of the spectrum, and from one window to the next."""


def spectrum(x: Tensor) -> Tensor:
    """Return the mean power of audio (B, N) at each frequency, (B, WINDOW / 2 + 1), over periodic Hann windows.

    The windows are centred at every ``HOP`` samples, with zeros beyond both ends.
    """
    hann = torch.hann_window(WINDOW, dtype=x.dtype, device=x.device)
    parts = torch.stft(x, WINDOW, HOP, window=hann, center=True, pad_mode="constant", return_complex=True)
    return torch.view_as_real(parts).square().sum(-1).mean(-1) / hann.square().sum()


def power_loss(drawn: Tensor, real: Tensor) -> Tensor:
    """Return how far the mean power spectra of draws and real audio (B, N) are apart, for each row, (B,), from 0 to 1.

    This is the squared distance of two spectra over the sum of their squares, so that a quiet clip counts as much as a
    loud one; silence in place of audio has 1. The publication does not divide: the loudest clips of a few dozen then
    make up most of the loss.

    Source: van den Oord et al., *Parallel WaveNet*, 2017, section 4.3, with the power averaged over time.
    """
    one, other = spectrum(drawn), spectrum(real)
    scale = (one.square() + other.square()).sum(-1).clamp_min(torch.finfo(one.dtype).tiny)
    return (one - other).square().sum(-1) / scale
