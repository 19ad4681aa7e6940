"""The models that a refusal names as students are those that can be taught."""

from __future__ import annotations

from arbench.models import resolve
from arbench.models.registry import BUILT_IN
from arbench.train.distill import STUDENTS, distiller


def test_students_are_the_models_that_something_distils_into() -> None:
    assert set(STUDENTS) == {name for name in BUILT_IN if distiller(resolve(name).cls) is not None}
