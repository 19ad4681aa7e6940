"""Translations of trained models: decoding, and what is compared with references."""

from arbench.train.translation.decode import Decoding as Decoding
from arbench.train.translation.decode import decoded as decoded
from arbench.train.translation.decode import decodings as decodings
from arbench.train.translation.decode import greedy as greedy
from arbench.train.translation.decode import pairs_of as pairs_of
from arbench.train.translation.exact import Exact as Exact
from arbench.train.translation.exact import compared as compared
from arbench.train.translation.exact import exact_match as exact_match
from arbench.train.translation.rows import Translated as Translated
from arbench.train.translation.rows import translated as translated
