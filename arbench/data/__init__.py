"""Real data: data shipped with the package, and loaders for the user's files. No torch, no pickle."""

from arbench.data.audio import Audio as Audio
from arbench.data.audio import load_audio as load_audio
from arbench.data.audio import speech as speech
from arbench.data.audio import transcripts as transcripts
from arbench.data.audio import voices as voices
from arbench.data.errors import DataError as DataError
from arbench.data.images import digit_labels as digit_labels
from arbench.data.images import digits as digits
from arbench.data.images import load_images as load_images
from arbench.data.images import mosaic as mosaic
from arbench.data.images import rescale as rescale
from arbench.data.mel import log_mel as log_mel
from arbench.data.mu_law import mu_law_decode as mu_law_decode
from arbench.data.mu_law import mu_law_encode as mu_law_encode
from arbench.data.pairs import load_pairs as load_pairs
from arbench.data.pairs import pairs as pairs
from arbench.data.text import as_bytes as as_bytes
from arbench.data.text import as_symbols as as_symbols
from arbench.data.text import corpus as corpus
from arbench.data.text import load_text as load_text
from arbench.data.words import LONGEST_WORD as LONGEST_WORD
from arbench.data.words import WORDS as WORDS
from arbench.data.words import word_symbols as word_symbols
