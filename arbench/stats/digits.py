"""Numbers as text, with only the digits that their interval supports."""

from __future__ import annotations

import math
from collections.abc import Iterable

Interval = tuple[float, float]

_PREFIXES = {-12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P"}
_MOST_DIGITS = 4
_DIGITS_ALONE = 2
_MOST_BEFORE_POINT = 5


def last_place(value: float, interval: Interval | None) -> int:
    """Return the power of ten of the last digit of ``value`` to print.

    It is the place of the leading digit of the interval's half-width, limited so that at least one digit and at
    most four are printed. Without an interval two digits are printed.
    """
    leading = _exponent(value)
    if interval is None:
        return leading - _DIGITS_ALONE + 1
    half = (interval[1] - interval[0]) / 2
    finest = leading - _MOST_DIGITS + 1
    return min(leading, max(finest, _exponent(half))) if half > 0 else finest


def format_si(value: float, unit: str, interval: Interval | None = None) -> str:
    """Return ``value`` with an SI prefix and only the digits its interval supports: ``12.3 ms``.

    Where the last supported digit would come before the unit's place, the next larger prefix is used
    (``0.12 s``, not ``120 ms``), so that no zero looks like a significant digit.

    Args:
        value: number in ``unit``.
        unit: unit of ``value``; 's' never gets a prefix above one.
        interval: (low, high) around ``value``, or None.

    Raises:
        ValueError: ``value`` is not finite.
    """
    text, exponent = _scaled(value, unit, interval)
    return f"{text} {_PREFIXES[exponent]}{unit}".rstrip()


def format_apart(first: float, second: float, unit: str) -> tuple[str, str]:
    """Return two numbers as text with two digits, or with the three or four that show that they differ.

    Args:
        first: number in ``unit``.
        second: another one. Numbers that four digits do not tell apart have the same text.
        unit: as in `format_si`.
    """
    for digits in range(_DIGITS_ALONE, _MOST_DIGITS + 1):
        texts = [format_si(value, unit, _to(value, digits)) for value in (first, second)]
        if texts[0] != texts[1]:
            break
    return texts[0], texts[1]


def _to(value: float, digits: int) -> Interval:
    """Return an interval around a number that supports so many digits of it."""
    half = 2 * 10.0 ** (_exponent(value) - digits + 1)
    return value - half, value + half


def round_down(value: float) -> str:
    """Return a number of at least 0 as text with two digits, or all before its point, and never above itself.

    So what is printed reaches a whole number only where the value does.
    """
    _check(value)
    place = min(0, _exponent(value) - _DIGITS_ALONE + 1)
    scale = 10.0**-place
    return f"{math.floor(value * scale * (1 + 1e-12)) / scale:,.{-place}f}"


def shared_prefix(values: Iterable[tuple[float, Interval | None]], unit: str) -> int:
    """Return the power of ten of the SI prefix in which to print all numbers of a column.

    It is that of the smallest value, or a larger one if the largest value would have more than five digits before
    its point, or if the last digit that a value's interval supports would come before the unit's place; but not one
    in which the largest value is below one and the smallest below a thousandth.

    Args:
        values: the numbers in ``unit``, each with its interval; zeros do not matter.
        unit: their unit; 's' never gets a prefix above one.
    """
    known = [(value, interval) for value, interval in values if value and math.isfinite(value)]
    sizes = sorted(abs(value) for value, _ in known)
    if not sizes:
        return 0
    highest = 0 if unit == "s" else max(_PREFIXES)
    smallest = 3 * (_exponent(sizes[0]) // 3)
    least = 3 * math.ceil((_exponent(sizes[-1]) - _MOST_BEFORE_POINT + 1) / 3)
    places = [last_place(value, interval) for value, interval in known if interval is not None]
    supported = 3 * math.ceil(max(places, default=smallest) / 3)
    if _exponent(sizes[-1]) < supported and _exponent(sizes[0]) < supported - 3:
        supported = 3 * (_exponent(sizes[-1]) // 3)
    return min(highest, max(min(_PREFIXES), smallest, least, supported))


def prefixed(unit: str, prefix: int) -> str:
    """Return a unit with its prefix: ``ms`` for 's' and -3."""
    return f"{_PREFIXES[prefix]}{unit}"


def format_at(value: float, prefix: int, interval: Interval | None = None) -> str:
    """Return ``value`` without a unit, in units of ``10**prefix``, with only the decimals its interval supports."""
    _check(value)
    return _fixed(value / 10.0**prefix, last_place(value, interval) - prefix)


def format_interval_at(value: float, interval: Interval, prefix: int, ends: str = "[]") -> str:
    """Return the ends of an interval as `format_at` prints its value, rounded outward.

    They have more digits where the low end would else be printed as 0, which it is not, unless it is less than a
    hundred-thousandth of the value.
    """
    place = last_place(value, interval)
    if interval[0] > 0:
        place = max(min(place, _exponent(interval[0])), _exponent(value) - _MOST_BEFORE_POINT)
    low, high = _outward(interval, place)
    place -= prefix
    return f"{ends[0]}{_fixed(low / 10.0**prefix, place)}, {_fixed(high / 10.0**prefix, place)}{ends[1]}"


def format_seconds(value: float, interval: Interval | None = None) -> str:
    """Return a duration as text, for example ``12.3 ms``; see `format_si`."""
    return format_si(value, "s", interval)


def format_ratio(value: float, interval: Interval | None = None) -> str:
    """Return a factor as text, for example ``3.07x``, with only the digits its interval supports."""
    _check(value)
    place = last_place(value, interval)
    return f"{_fixed(value, place)}x"


def format_interval(value: float, interval: Interval, unit: str = "", ends: str = "[]") -> str:
    """Return the ends of an interval with the prefix of ``value``, and its last place or more: ``[12.1, 12.6]``.

    The prefix is that of `format_si` (for ``unit`` 'x', of `format_ratio`). The ends are rounded outward and have no
    unit, because ``value`` with its unit is printed beside them.
    """
    return format_interval_at(value, interval, 0 if unit == "x" else _scaled(value, unit, interval)[1], ends)


def _outward(interval: Interval, place: int) -> Interval:
    """Return the ends of an interval on a grid of powers of ten."""
    scale = 10.0**place
    # The tolerance keeps an end on the grid, up to rounding, from moving outward.
    return math.floor(interval[0] / scale + 1e-9) * scale, math.ceil(interval[1] / scale - 1e-9) * scale


def _check(value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"cannot format {value}: expected a finite number")


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 0


def _scaled(value: float, unit: str, interval: Interval | None) -> tuple[str, int]:
    _check(value)
    place = last_place(value, interval)
    rounded = round(value / 10.0**place) * 10.0**place
    highest = 0 if unit == "s" else max(_PREFIXES)
    exponent = min(highest, max(min(_PREFIXES), 3 * (_exponent(rounded) // 3)))
    while place > exponent and exponent < highest:
        exponent += 3
    return _fixed(value / 10.0**exponent, place - exponent), exponent


def _fixed(value: float, place: int) -> str:
    digits = max(0, -place)
    return f"{round(value, -place):,.{digits}f}"
