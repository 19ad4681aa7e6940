"""Programs of the causal convolution."""
