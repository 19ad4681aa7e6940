"""The teacher of Parallel NMT: a transformer that translates symbol by symbol."""

from __future__ import annotations

from typing import Any

from arbench.models.transformer import Transformer

TRANSLATION: dict[str, Any] = dict(kind="translation", tied=True, scaled=True, shared=True)


class NMTTeacher(Transformer):
    """An element is a symbol of a translation; N steps over a key-value cache; the source has N symbols too.

    This is a ``Transformer`` with an encoder: source, target and output product share one embedding,
    positions are sinusoids, normalisation comes last. Symbols are bytes for the same reason as in
    ``ParallelNMT``.

    Presets:
        base: Transformer-base: 6 layers, 8 heads, D=512, feed-forward 2048; 63 million parameters with 37,000
            symbols, which the paper rounds to 65.
        released: the same with feed-forward 512, as in Gu et al.'s program (salesforce/nonauto-nmt).
        iwslt: that program's shape for IWSLT: 5 layers, 2 heads, D=278, feed-forward 507.
        small: 2 layers, 4 heads, D=64, feed-forward 128: the counterpart of parallel_nmt:small.
        tiny: for tests.

    Sources: Vaswani et al., *Attention Is All You Need*, 2017; Gu et al., *Non-Autoregressive Neural Machine
    Translation*, 2017.

    The arguments are those of ``Transformer``.
    """

    element = "symbol"
    citation = "Vaswani et al. 2017, arXiv:1706.03762; Gu et al. 2017, arXiv:1711.02281"
    presets = {
        name: dict(
            layers=layers,
            encoder_layers=layers,
            width=width,
            heads=heads,
            hidden=hidden,
            levels=levels,
            source_levels=levels,
            **TRANSLATION,
        )
        for name, layers, width, heads, hidden, levels in (
            ("base", 6, 512, 8, 2048, 256),
            ("released", 6, 512, 8, 512, 256),
            ("iwslt", 5, 278, 2, 507, 256),
            ("small", 2, 64, 4, 128, 256),
            ("tiny", 2, 8, 2, 12, 4),
        )
    }
