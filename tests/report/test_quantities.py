"""Columns of quantities: one unit each, and no digit that an interval does not support."""

from __future__ import annotations

from arbench.report.cells import exact
from arbench.report.quantities import Column, Quantity, in_one_unit


def test_no_number_of_a_column_has_a_digit_that_its_interval_does_not_support() -> None:
    """The last digit of 9 ms is a whole millisecond: in µs three zeros would look measured."""
    rows = [
        [Quantity(9e-3, "s", (7e-3, 11e-3), "()", ("value", "interval"))],
        [Quantity(2.5e-4, "s", (2.3e-4, 2.7e-4), "()", ("value", "interval"))],
    ]
    headings, cells = in_one_unit([Column("time")], rows)
    assert (headings[0].heading, cells) == ("time (ms)", [["9 (7, 11)"], ["0.25 (0.23, 0.27)"]])
    rows = [[Quantity(1500.0, "FLOP", (1499.9, 1500.1), until=2.5e7)]]
    headings, cells = in_one_unit([Column("work")], rows)
    assert (headings[0].heading, cells) == ("work (MFLOP)", [["0.001500 to 25.00"]])


def test_a_column_has_the_unit_of_its_smallest_number() -> None:
    columns = [Column("method", number=False), Column("time"), Column("interval")]
    found = [(0.0027, (0.0025, 0.0029)), (0.387, (0.380, 0.394)), (4.0, (3.996, 4.004))]
    rows = [["a", Quantity(v, "s", e), Quantity(v, "s", e, shown=("interval",))] for v, e in found]
    headings, cells = in_one_unit(columns, [*rows, ["b", "over budget", "—"]])
    assert [column.heading for column in headings] == ["method", "time (ms)", "interval"]
    assert cells == [
        ["a", "2.7", "[2.5, 2.9]"],
        ["a", "387", "[380, 394]"],
        ["a", "4,000", "[3,996, 4,004]"],
        ["b", "over budget", "—"],
    ]


def test_the_largest_number_of_a_column_is_not_below_one_while_others_are_nearly_nothing() -> None:
    rates = [(5e5, (3e5, 7e5)), (140.0, (138.0, 142.0))]
    headings, cells = in_one_unit([Column("elements")], [[Quantity(v, "/s", e)] for v, e in rates])
    assert (headings[0].heading, cells) == ("elements (k/s)", [["500"], ["0.140"]])


def test_a_wide_column_has_at_most_five_digits_before_the_point() -> None:
    headings, cells = in_one_unit([Column("time")], [[Quantity(2e-6, "s")], [Quantity(25.0, "s")]])
    assert (headings[0].heading, cells) == ("time (ms)", [["0.0020"], ["25,000"]])


def test_units_of_different_kinds_stand_with_their_numbers() -> None:
    rows = [[Quantity(2e9, "B/s")], [Quantity(4e12, "FLOP/s")], [Quantity(5e10, "B/s")]]
    headings, cells = in_one_unit([Column("rate")], rows)
    assert headings[0].heading == "rate"
    assert [row[0] for row in cells] == ["2.0 GB/s", "4.0 TFLOP/s", "50 GB/s"]


def test_both_ends_a_second_value_and_a_mark() -> None:
    both = Quantity(0.01, "s", (0.009, 0.012), "()", ("value", "interval"))
    assert both.text(-3) == "10 (9, 12)"
    assert Quantity(1500.0, "FLOP", until=2500.0, mark="↑").text(3) == "1.5 to 2.500 ↑"


def test_a_count_of_nothing_is_zero_without_decimals() -> None:
    _, cells = in_one_unit([Column("work")], [[exact(0, "FLOP")], [exact(1500, "FLOP")]])
    assert cells == [["0"], ["1.500"]]
    assert in_one_unit([Column("work")], [[exact(0, "FLOP")]])[1] == [["0"]]
