"""Rates derived from times: streams in real time, speed-up, fractions of a limit."""
