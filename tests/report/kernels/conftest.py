"""Kernels named without configurations, and a crowd of them."""

from __future__ import annotations

import re

import msgspec
import pytest

from arbench.results import Case


@pytest.fixture
def build(build, kernel_table):
    """Return the function that builds results; a kernel without configurations gets those of a synthetic kernel."""

    def made(kernels=(), **given):
        known = {name: configs for name, _, configs in kernel_table}
        whole = [(name, element, configs or known["softmax"]) for name, element, configs in kernels]
        return build(kernels=whole, **given)

    return made


@pytest.fixture
def boxes():
    """Return the function that draws a figure and returns the boxes of each panel's texts, and of the panels."""

    def drawn(figure):
        figure.canvas.draw()
        renderer = figure.canvas.get_renderer()
        found = [[text.get_window_extent(renderer) for text in axes.texts if text.get_text()] for axes in figure.axes]
        return found, [axes.get_window_extent(renderer) for axes in figure.axes]

    return drawn


@pytest.fixture
def crowd(build):
    """Return results of fourteen kernels with nearly the same intensity, by eight implementations."""

    def peers(line):
        if isinstance(line, Case) and line.backend == "compile" and "8192" in line.preset:
            number = int(re.sub(r"\D", "", line.model))
            return msgspec.structs.replace(line, method=f"peer{number % 7}")
        return line

    many = [(f"kernel_{i}_with_a_long_name", "logit", None) for i in range(14)]
    return build(models=[], kernels=many, edit=peers)
