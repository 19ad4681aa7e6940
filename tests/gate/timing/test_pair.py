"""Versions in real processes of their own: what a shared process hides or leaves out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from arbench.findings import Finding
from arbench.gate.timing import alone
from arbench.gate.timing.check import Gate
from arbench.gate.timing.trees import Tree

CACHED = {"models": ["wavenet:tiny"], "ops": ["sample"], "methods": ["cached"]}
Copy = Callable[..., Path]

FOR_BOTH = """
import types as _types

from torch.nn.modules import module as _module

_get = _module.Module.__getattr__
_module._unspun = _types.FunctionType(_get.__code__, _get.__globals__)
exec(
    "def _spun(self, name):\\n    for _ in range(1000):\\n        pass\\n    return _unspun(self, name)",
    vars(_module),
)
_get.__code__ = _module._spun.__code__
"""
"""The function stays, and with it what the record knows; its code changes, for both versions."""

LEFT_OUT = """
import time as _time

_time.sleep(1)
_extend = WaveNet.extend


def _changed(self, state, f, g0, g1):
    if f.shape[1] > 16:
        for _ in range(10_000):
            pass
    spare = torch.zeros(100_000)
    return _extend(self, state, f, g0, g1)


WaveNet.extend = _changed
"""


def checked(
    copy_of_this_tree: Copy, monkeypatch: pytest.MonkeyPatch, planted: str, imported: str
) -> dict[str, Finding]:
    """Return the findings by metric, with one pair of processes at first, and one to confirm.

    Two instances are too few to decide the seconds, so that they are ``undecided`` anyway: their text tells.
    """
    monkeypatch.setattr(alone, "PAIRS", (1, 1))
    monkeypatch.setattr(alone, "LARGEST_S", 1000.0)  # the ladder alone decides, however slow the machine is
    ladder = "WaveNet.ladder = (16, 64)\n"
    trees = [Tree(root.name, root, root) for root in map(copy_of_this_tree, ("old", "new"), (ladder, ladder + planted))]
    with (trees[1].root / "arbench" / "bench" / "subject.py").open("a") as file:
        file.write(imported)
    gate = Gate(*trees, [{**CACHED, "n": [16]}], chosen={"processes": 1, "instances": 2})
    gate.run()
    assert not gate.pool.apart
    return {finding.metric: finding for finding in gate.findings}


def test_what_a_shared_process_hides_is_seen_in_processes_of_their_own(
    copy_of_this_tree: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = checked(copy_of_this_tree, monkeypatch, FOR_BOTH, "")
    assert found["seconds"].outcome == "undecided"
    assert "in a shared process, and takes " in found["seconds"].text
    assert found["seconds"].text.endswith(" in its own")


def test_what_a_shared_process_leaves_out_is_seen_in_processes_of_their_own(
    copy_of_this_tree: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls at N = 16 take the same time: what is slower at N = 64 is seen there alone."""
    found = checked(copy_of_this_tree, monkeypatch, LEFT_OUT, "import time as _time\n_time.sleep(0.3)\n")
    assert {metric: found[metric].outcome for metric in alone.THRESHOLDS} == dict.fromkeys(
        alone.THRESHOLDS, "regression"
    )
    assert found["largest_s"].case.endswith("/n64")
    assert "in a shared process" not in found["seconds"].text
