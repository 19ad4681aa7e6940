"""Other people's implementations of models that arbench has, run as methods of ours."""
