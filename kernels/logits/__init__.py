"""Triton programs over rows of logits."""
