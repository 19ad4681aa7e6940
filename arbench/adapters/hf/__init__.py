"""Causal language models of Hugging Face's transformers, which is imported once one of them is named."""

from arbench.adapters.hf.adapted import adapted as adapted
