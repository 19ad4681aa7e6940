"""Options that several commands share."""

from __future__ import annotations

import re

import pytest

from arbench.report.metrics import METRICS


@pytest.mark.parametrize("command", ["history", "compare"])
def test_the_help_of_metric_lists_every_metric(command, answer):
    text = re.search(r"--metric NAME(.*?)--", answer(command, "--help").out, re.DOTALL)
    assert re.split(r", | or ", " ".join(text[1].split()).rstrip(".").replace(" (the default)", "")) == list(METRICS)


def test_the_size_of_a_timed_check_is_documented(answer):
    words = " ".join(answer("check", "--help").out.split())
    assert "[default: the baseline's; for times the suite's, or the smallest of a --model]" in words
