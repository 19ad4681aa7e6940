"""Causal convolutions: Triton programs of every kind, and the launchers of depthwise and full ones."""
