"""Losses by name: the distribution of each, and unknown names."""

from __future__ import annotations

import pytest

from arbench.distributions import (
    LOSSES,
    Categorical,
    DiscretizedLogisticMixture,
    GaussianMixture,
    Logistic,
    LogisticMixture,
    Normal,
    by_name,
)

LAWS = {
    "softmax": (Categorical, 7, 7),
    "gaussian": (Normal, 2, 1),
    "gaussian_mixture": (GaussianMixture, 9, 4),
    "logistic": (Logistic, 2, 1),
    "logistic_mixture": (LogisticMixture, 9, 4),
    "discretized_logistic_mixture": (DiscretizedLogisticMixture, 9, 4),
}


def test_every_loss_is_a_distribution() -> None:
    assert LAWS.keys() == LOSSES.keys()
    for name, (kind, params, noise) in LAWS.items():
        distribution = by_name(name, levels=7, components=3)
        assert type(distribution) is kind
        assert (distribution.params_width, distribution.noise_width) == (params, noise)
        assert distribution.finite == (kind in (Categorical, DiscretizedLogisticMixture))


def test_each_call_makes_a_distribution_of_its_own() -> None:
    """Distributions are not shared, because a model switches the backend of its own."""
    assert by_name("softmax", 2, 1) is not by_name("softmax", 2, 1)


def test_an_unknown_loss_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ValueError, match=r"^unknown loss 'gausian'; did you mean 'gaussian'\?$"):
        by_name("gausian", 2, 1)
    with pytest.raises(ValueError, match=r"^unknown loss 'mse'; available: softmax, gaussian, "):
        by_name("mse", 2, 1)
