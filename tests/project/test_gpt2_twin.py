"""The script that compares one GPT-2 in two programs finds that they agree, and where they do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("transformers", reason="other people's language models need pip install 'arbench[hf]'")

from arbench.models import resolve

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpt2_twin.py"


def test_weights_of_one_folder_agree_and_others_do_not(load: Callable[[Path], ModuleType], tmp_path: Path) -> None:
    script = load(SCRIPT)
    script.saved(tmp_path / "twin", vocab_size=300, n_embd=16, n_layer=2, n_head=2, n_positions=64, bos_token_id=0)
    theirs, ours = (
        resolve(f"{spec}{tmp_path}/twin{end}").build() for spec, end in (("hf:", ""), ("transformer@", "/"))
    )
    found = script.agreement(theirs, ours, 20, 12)
    assert (found.scored, found.drawn, found.other) == (40, 24, 0)
    assert found.log_prob < 1e-5
    next(ours.parameters()).data.mul_(-2)
    worse = script.agreement(theirs, ours, 20, 12)
    assert worse.log_prob > script.ALLOWED
    assert worse.other > 0
