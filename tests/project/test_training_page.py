"""docs/training.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from arbench.models.events import audio, images, text, translation
from arbench.train.loop import CURVE, STATE
from arbench.train.parts import VALIDATION
from arbench.train.run import HELD_OUT, MODEL

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")


def test_the_files_and_shares_are_those_of_the_code() -> None:
    for name in (MODEL, STATE, CURVE, HELD_OUT):
        assert f"`{name}`" in PAGE
    for share in (audio.HELD_OUT, text.HELD_OUT, images.HELD_OUT, translation.HELD_OUT):
        assert re.search(rf"^\| .* {100 * share:.0f}%", PAGE, re.MULTILINE)
    assert f"({100 * VALIDATION:.0f}% of the rest)" in PAGE
