"""Figures of training runs, from their curves alone."""
