"""Statistics of measurements: intervals, paired ratios, growth over N."""

from arbench.stats.bounds import judge_bound
from arbench.stats.claims import judge, judge_counts
from arbench.stats.classes import CLASSES, FEWEST_SIZES, LEAST_SPAN, Growth
from arbench.stats.digits import format_interval, format_ratio, format_seconds, format_si
from arbench.stats.exact import extrapolator, fit_exact
from arbench.stats.intervals import order_statistic_interval, outliers, spread
from arbench.stats.noisy import fit_noisy
from arbench.stats.paired import PairedRatio, ratio
from arbench.stats.stopping import reason_to_stop
from arbench.stats.summary import Summary, summarise

__all__ = [
    "CLASSES",
    "FEWEST_SIZES",
    "LEAST_SPAN",
    "Growth",
    "PairedRatio",
    "Summary",
    "extrapolator",
    "fit_exact",
    "fit_noisy",
    "format_interval",
    "format_ratio",
    "format_seconds",
    "format_si",
    "judge",
    "judge_bound",
    "judge_counts",
    "order_statistic_interval",
    "outliers",
    "ratio",
    "reason_to_stop",
    "spread",
    "summarise",
]
