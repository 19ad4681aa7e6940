"""Modules of which only ``forward`` is known, and the law of an element."""

from arbench.adapters.forward.adapted import adapted as adapted
