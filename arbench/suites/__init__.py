"""Suites that ship, as TOML files in the format of ``arbench.bench.suite``."""
