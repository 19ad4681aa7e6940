"""Verification of stacks of invertible layers: no layer leaks, x -> z -> x, and log-determinants are autograd's."""
