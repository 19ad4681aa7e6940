"""The usual recipe of a model, by the kind of its events."""

from __future__ import annotations

from dataclasses import replace

from arbench.models import Source
from arbench.models.events.images import ImageSource
from arbench.models.events.text import TextSource
from arbench.models.events.translation import TranslationSource
from arbench.models.transformer import Transformer
from arbench.train.recipe import Recipe

_AUDIO = Recipe(steps=1500, batch=4, n=5000, eval_n=30000, lr=2e-3, every=150)
_KINDS = {
    ImageSource: Recipe(steps=2000, batch=32, n=64, lr=2e-3, every=100),
    TextSource: Recipe(steps=3000, batch=16, n=256, prefix=128, eval_n=1024, lr=2e-3, every=250),
    TranslationSource: Recipe(steps=3000, batch=32, n=64, lr=2e-3, every=250),
}


def usual(model: Source) -> Recipe:
    """Return a recipe to start from for the model's kind of events.

    A recurrent model of text is judged in longer windows than it is trained on. A transformer is not: it has learnt
    nothing of later positions.
    """
    events = getattr(model, "events", model)  # a transformer's kind
    if model.rate_hz:
        return _AUDIO
    found = next((recipe for kind, recipe in _KINDS.items() if isinstance(events, kind)), Recipe())
    return replace(found, eval_n=None) if isinstance(model, Transformer) else found
