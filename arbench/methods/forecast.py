"""Predictive sampling: each pass forecasts the elements of the next one."""

from __future__ import annotations

from arbench.methods.ahead import Window
from arbench.methods.base import Method, Outcome, Task
from arbench.models import Source

WIDTH = 8
"""Number of groups forecast at once."""


def forecast(source: Source, task: Task) -> Outcome:
    """Evaluate a window of ``WIDTH`` groups on a forecast, keep the confirmed groups, and move the window on.

    The groups up to the first wrong forecast are kept, and that group's own draw too. The draws in the rest of the
    window are the next forecast; groups that were never evaluated are forecast as zeros.

    The method is pointwise exact: a forecast is kept only if it equals the draw from the model's parameters.

    Source: Wiggers and Hoogeboom, *Predictive Sampling with Forecasting Autoregressive Models*, 2020,
    algorithm 1 with fixed-point forecasts, here with the past cached and a bounded window.
    """
    window = Window(source, task, WIDTH)
    while not window.done:
        guess = window.f[:, window.span(window.at, window.end)].clone()
        params, found, mark = window.evaluate()
        window.advance(params, found, window.settle(found == guess, window.end), mark)
    return window.outcome()


FORECAST = Method(
    "forecast",
    "sample",
    "x",
    forecast,
    "each pass forecasts the next 8 steps",
    data_dependent=True,
    returning=True,
)
