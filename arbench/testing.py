"""Assertions for the test suite of a model.

``assert_exact`` checks in this process what ``arbench verify`` checks from a terminal, in seconds::

    from arbench.testing import assert_exact

    def test_my_model_is_exact():
        assert_exact(MyModel)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from arbench.methods import Method
    from arbench.models import Source
    from arbench.report.models.verify import Correctness

__all__ = ["assert_exact"]


def assert_exact(
    model: str | type[Source] | Source | Any,
    *,
    n: int | Sequence[int] = (),
    batch: int | Sequence[int] = (),
    methods: str | Callable[..., Any] | Method | Sequence[str | Callable[..., Any] | Method] = (),
    ops: str | Sequence[str] = (),
    law: str | None = None,
    dtype: Any = None,
    device: Any = None,
    backend: str = "eager",
    data: str | Path | None = None,
    weights: str | Path | None = None,
    seed: int = 0,
) -> Correctness:
    """Assert that a model and its methods are right.

    ``forward`` is probed for leaks from later elements and between the rows of a batch, and compared with ``extend``;
    the law of an element is compared with its definition; and each method with what ``forward`` defines. All of it runs
    in this process, on copies in evaluation mode and without gradients: the model, its gradients and the random state
    of PyTorch stay as they are. A model that hangs is not stopped; ``arbench verify`` does that.

    Args:
        model: an object with its present weights, such as a model in training; or a subclass of
            ``arbench.models.Source``, or a specification as ``--model`` takes it, both with random weights. With
            ``law`` also a plain ``nn.Module``, its class, or a function that returns one.
        n: numbers of elements; by default a small one, the first of the model's ladder, where there is time a larger
            one, and one beyond 64 elements by methods that take few passes.
        batch: numbers of events at once; by default two at the smallest size, else one.
        methods: names, ``path.py:function``, functions or ``arbench.methods.Method``; by default all that the model
            has, but for those in native code, which takes seconds to compile.
        ops: "score", "sample" or both, which is the default.
        law: the law of an element, for a plain module: "categorical:256", "normal", "logistic_mixture:10", ...
        dtype: data type, by name or of torch; by default that of an object and float32 otherwise, and where there is
            time also float64.
        device: device; by default that of an object, and the CPU otherwise.
        backend: backend of the model, as ``--backend`` takes it.
        data: path or name of the data, as ``--data`` takes it.
        weights: safetensors file, for a class or a specification.
        seed: seed of random weights, events and noise.

    Returns:
        What was checked, what was not, and why: its ``checked`` and ``unchecked``.

    Raises:
        AssertionError: something is wrong, raises an exception or runs out of memory; the message says in plain words
            what, what it means and where to look.
        arbench.PlanError: an argument is wrong, or the model cannot be built, or has no events of a size; one line.
    """
    __tracebackhide__ = True
    from arbench.api.exact import checked, said

    found = checked(
        model,
        law=law,
        device=device,
        options={
            "n": n,
            "batch": batch,
            "methods": methods,
            "ops": ops,
            "dtype": dtype,
            "backend": backend,
            "data": data,
            "weights": weights,
            "seed": seed,
        },
    )
    if found.outcome != "right":
        raise AssertionError(said(found))
    return found
