"""arbench: autoregressive scoring against sampling, verified and measured."""
