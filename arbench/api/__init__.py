"""The functions that ``import arbench`` offers: ``measure`` and its result, ``sample`` and ``stream``."""

from arbench.api.measured import Measured as Measured
from arbench.api.measured import measure as measure
