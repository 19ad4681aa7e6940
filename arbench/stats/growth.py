"""How a quantity grows over N: exact fits of integers, noisy fits of durations."""

from arbench.stats.classes import CLASSES, Growth
from arbench.stats.exact import extrapolator, fit_exact
from arbench.stats.noisy import fit_noisy

__all__ = ["CLASSES", "Growth", "extrapolator", "fit_exact", "fit_noisy"]
