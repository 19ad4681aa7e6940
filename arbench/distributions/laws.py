"""Distributions by the name that a user types, with their sizes behind a colon: ``categorical:256``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from arbench.border.suggest import did_you_mean
from arbench.distributions.base import Distribution
from arbench.distributions.categorical import Categorical
from arbench.distributions.logistic import Logistic
from arbench.distributions.logistic_mixture import DiscretizedLogisticMixture
from arbench.distributions.mixture import GaussianMixture, LogisticMixture
from arbench.distributions.normal import Normal

LAWS: Mapping[str, tuple[Callable[..., Distribution], str, str]] = {
    "categorical": (Categorical, "256", "logits"),
    "normal": (Normal, "", "mean and log-scale"),
    "logistic": (Logistic, "", "mean and log-scale"),
    "gaussian_mixture": (GaussianMixture, "5", "mixture logits, means and log-scales"),
    "logistic_mixture": (LogisticMixture, "10", "mixture logits, means and log-scales"),
    "discretized_logistic_mixture": (DiscretizedLogisticMixture, "256x10", "mixture logits, means and log-scales"),
}
"""Constructor of each distribution, its sizes in an example, and what its parameters are, by its name.

The sizes are the number of levels, the number of components, or both, joined by an x."""


def law_of(text: str) -> Distribution:
    """Return the distribution that NAME[:SIZE[xSIZE]] names.

    Args:
        text: a key of ``LAWS``, with its sizes: ``categorical:256``, ``normal``, ``logistic_mixture:10``,
            ``discretized_logistic_mixture:256x10``.

    Raises:
        ValueError: there is no such law, or it has other sizes; the message is one line.
    """
    name, _, sizes = (part.strip() for part in text.partition(":"))
    if name not in LAWS:
        raise ValueError(f"unknown law '{name}'; {did_you_mean(name, LAWS)}")
    made, example, _ = LAWS[name]
    like = f"{name}:{example}" if example else name
    given, wanted = sizes.split("x") if sizes else [], example.split("x") if example else []
    if len(given) != len(wanted) or not all(re.fullmatch("[0-9]{1,9}", one) for one in given):
        raise ValueError(f"law '{text}': write {like}" + (", with sizes of yours" if example else ", without a size"))
    try:
        return made(*map(int, given))
    except ValueError as error:
        raise ValueError(f"law '{text}': {error}") from None
