"""The ranges of the numbers in a results file: what lies outside them was not measured."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Natural = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""A count: operations, bytes, parameters, workers."""
Size = Annotated[int, Meta(ge=1, le=2**53)]
"""A number of elements or of events: at least one, and exact as a float."""
Seconds = Annotated[float, Meta(ge=1e-15, le=1e9)]
"""A duration that was measured: above 0, and less than thirty years."""
UnixTime = Annotated[float, Meta(ge=0, le=1e11)]
"""Seconds since 1970."""
Rate = Annotated[float, Meta(ge=1e-9, le=1e15)]
"""Something in a second: elements, bytes, operations."""
Factor = Annotated[float, Meta(ge=1e-24, le=1e24)]
"""The ratio of two durations."""
Share = Annotated[float, Meta(ge=0, le=1e24)]
"""A number of at least 0: an error relative to a value, groups accepted in an evaluation."""
Number = Annotated[float, Meta(ge=-1e30, le=1e30)]
"""A number of either sign: a coefficient, an exponent, a value that was fitted."""

SecondsInterval = tuple[Seconds, Seconds]
FactorInterval = tuple[Factor, Factor]
NumberInterval = tuple[Number, Number]
