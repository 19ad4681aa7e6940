"""Modules of which only ``forward`` is known, and the law of an element."""

from arbench.adapters.forward.model import adapted as adapted
