"""Symbols of wide alphabets: which of them a probe tries first, and what it tries with them."""

from arbench.bench.models.symbols.alphabet import WIDE as WIDE
from arbench.bench.models.symbols.alphabet import Tried as Tried
from arbench.bench.models.symbols.alphabet import try_symbols as try_symbols
