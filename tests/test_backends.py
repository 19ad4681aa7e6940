"""One list of backends; the old name of the eager backend works everywhere for one release, with a warning."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch

from arbench.backends import BACKENDS, current
from arbench.distributions.base import kernel_for
from arbench.kernels import KERNELS, softmax
from arbench.models import resolve

X = torch.tensor([0.0, 1.0])


@pytest.mark.parametrize("backend", [*BACKENDS, "cuda"])
def test_current_names_stay(backend: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert current(backend) == backend


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda backend: softmax(X, backend=backend).tolist(), X.softmax(-1).tolist()),
        (lambda backend: kernel_for("softmax", backend, X), None),
        (lambda backend: resolve("wavenet:tiny").build(backend=backend).backend, "eager"),
        (lambda backend: resolve("wavenet:tiny").build().use(backend).distribution.backend, "eager"),
    ],
    ids=["kernel", "distribution", "build", "use"],
)
def test_reference_is_eager_with_a_warning_at_the_caller(call: Callable[[str], Any], expected: Any) -> None:
    with pytest.warns(FutureWarning, match=r"^backend 'reference' is deprecated; use backend='eager'$") as found:
        assert call("reference") == expected
    assert [warning.filename for warning in found] == [__file__]
    assert call("eager") == expected


def test_kernels_have_known_backends() -> None:
    assert {backend for kernel in KERNELS.values() for backend in kernel.backends} == set(BACKENDS)
