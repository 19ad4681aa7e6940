"""Symbols of wide alphabets: which of them a probe tries first, and what it tries with them."""

from arbench.bench.models.leaks.symbols.trial import WIDE as WIDE
from arbench.bench.models.leaks.symbols.trial import Tried as Tried
from arbench.bench.models.leaks.symbols.trial import try_symbols as try_symbols
