"""Suites that ship: a run each, written down as TOML; ``arbench.bench.suite`` says how."""
