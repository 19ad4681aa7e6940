"""Baselines that a trained model must beat, each a function from a training and a held-out part to bits."""
