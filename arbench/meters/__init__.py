"""Meters: each takes a callable, or nothing, and returns numbers. They know no models and no results."""

from arbench.meters.count import CountBudgetExceeded, Counts, count
from arbench.meters.opaque import register_opaque

__all__ = ["CountBudgetExceeded", "Counts", "count", "register_opaque"]
