"""Predictive sampling: the last pass is the forecast of what follows."""

from __future__ import annotations

from arbench.methods.ahead import Window
from arbench.methods.base import Method, Outcome, Task
from arbench.models import Source

WIDTH = 8
"""Groups that are forecast at once."""


def forecast(source: Source, task: Task) -> Outcome:
    """Evaluates a window of ``WIDTH`` groups on a forecast, keeps what came out as it was forecast and one
    group more, and slides on; the rest of the window is the next forecast. What was never evaluated is
    forecast as zeros.

    Pointwise exact: a forecast is kept only where the draw from the target's parameters is the same.

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
    "the last pass is the forecast of the next 8 steps",
    data_dependent=True,
    returning=True,
)
