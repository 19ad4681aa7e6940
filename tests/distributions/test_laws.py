"""Laws by name, with their sizes."""

from __future__ import annotations

import pytest

from arbench.distributions import LAWS, Categorical, DiscretizedLogisticMixture, Normal, law_of


def test_every_law_has_an_example_that_makes_it():
    for name, (made, sizes, _) in LAWS.items():
        law = law_of(f"{name}:{sizes}" if sizes else name)
        assert type(law) is made


def test_sizes_are_levels_and_components():
    assert law_of("categorical:7").levels == 7
    assert isinstance(law_of("categorical:7"), Categorical)
    assert isinstance(law_of("normal"), Normal)
    assert law_of("logistic_mixture:4").params_width == 12
    mixture = law_of("discretized_logistic_mixture:128x3")
    assert isinstance(mixture, DiscretizedLogisticMixture)
    assert (mixture.levels, mixture.params_width) == (128, 9)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("norml", "unknown law 'norml'; did you mean 'normal'?"),
        ("categorical", "law 'categorical': write categorical:256, with sizes of yours"),
        ("categorical:", "law 'categorical:': write categorical:256, with sizes of yours"),
        ("categorical:-3", "law 'categorical:-3': write categorical:256, with sizes of yours"),
        ("categorical:0", "law 'categorical:0': levels must be at least 1, got 0"),
        ("normal:2", "law 'normal:2': write normal, without a size"),
        ("discretized_logistic_mixture:256", "write discretized_logistic_mixture:256x10, with sizes of yours"),
    ],
)
def test_other_laws_are_refused_in_one_line(text, said):
    with pytest.raises(ValueError, match=r"^[^\n]+$") as refused:
        law_of(text)
    assert said in str(refused.value)
