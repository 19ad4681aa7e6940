"""Versions in real processes of their own: what a shared process hides or leaves out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

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

_time.sleep(0.3)
_extend = WaveNet.extend


def _changed(self, state, f, g0, g1):
    if f.shape[1] > 16:
        for _ in range(10_000):
            pass
    spare = torch.zeros(100_000)
    return _extend(self, state, f, g0, g1)


WaveNet.extend = _changed
"""


def test_what_a_shared_process_hides_and_leaves_out_is_seen_in_processes_of_their_own(
    copy_of_this_tree: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One pair of processes at first, and one to confirm; two instances are too few to decide the seconds."""
    monkeypatch.setattr(alone, "PAIRS", (1, 1))
    monkeypatch.setattr(alone, "LARGEST_S", 1000.0)  # the ladder alone decides, however slow the machine is
    changes = ("WaveNet.ladder = (16, 64)\n", "WaveNet.ladder = (16, 64)\n" + FOR_BOTH + LEFT_OUT)
    trees = [Tree(root.name, root, root) for root in map(copy_of_this_tree, ("old", "new"), changes)]
    with (trees[1].root / "arbench" / "bench" / "subject.py").open("a") as file:
        file.write("import time as _time\n_time.sleep(0.3)\n")
    gate = Gate(*trees, [{**CACHED, "n": [16]}], chosen={"processes": 1, "instances": 2})
    gate.run()
    assert not gate.pool.apart
    found = {finding.metric: finding for finding in gate.findings}
    assert {metric: found[metric].outcome for metric in alone.THRESHOLDS} == dict.fromkeys(
        alone.THRESHOLDS, "regression"
    )
    assert found["largest_s"].case.endswith("/n64")
    assert found["seconds"].outcome == "undecided"
    assert "in a shared process, and takes " in found["seconds"].text
    assert found["seconds"].text.endswith(" in its own")
