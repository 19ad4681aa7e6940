"""Hosts in real processes: what a broken version costs, and a process for each version."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from arbench.gate.timing.check import Gate, GateError
from arbench.gate.timing.hosts import Apart, HostError, Together
from arbench.gate.timing.trees import Tree

SMALL = {"processes": 1, "instances": 2}
WAVENET = {"models": ["wavenet:tiny"], "ops": ["sample"], "methods": ["cached"]}
PIXELCNN = {**WAVENET, "models": ["pixelcnn:tiny"], "n": [27]}
Copy = Callable[..., Path]
HOW: dict[str, Any] = {"threads": 1, "facts": {}, "timeout": 120.0}


def version(root: Path) -> Tree:
    return Tree(root.name, root, root)


BROKEN = """
import os as _os
_extend = WaveNet.extend


def _broken(self, state, f, g0, g1):
    if f.shape[1] == 8:
        _os._exit(3)
    if f.shape[1] == 12:
        raise SystemExit(0)
    params, state = _extend(self, state, f, g0, g1)
    self.__dict__["draws"] = draws = self.__dict__.get("draws", 0) + (g0 == 0 and f.shape[1] == 20)
    if f.shape[1] == 20 and draws > 6:
        return -100 * params, state
    return params + (params.flip(-1) if g0 == 5 and f.shape[1] == 16 else 0), state


WaveNet.extend = _broken
"""


def test_what_a_new_version_breaks_is_a_regression_of_that_case_alone(copy_of_this_tree: Copy) -> None:
    """It ends the process, exits, and is wrong, before anything is timed; the other model is timed.

    At N = 20 only its first draws are right.
    """
    trees = copy_of_this_tree("old"), copy_of_this_tree("new", BROKEN)
    gate = Gate(*map(version, trees), [{**WAVENET, "n": [8, 12, 16, 20]}, PIXELCNN], chosen=SMALL, alone=False)
    gate.run()
    assert not gate.pool.apart
    found = {(finding.model, int(finding.case.rpartition("/n")[2])): finding for finding in gate.findings}
    assert {case: (one.outcome, one.metric, one.after) for case, one in found.items() if case[0] == "wavenet:tiny"} == {
        ("wavenet:tiny", 8): ("regression", "verification", "error"),
        ("wavenet:tiny", 12): ("regression", "verification", "error"),
        ("wavenet:tiny", 16): ("regression", "verification", "inexact"),
        ("wavenet:tiny", 20): ("regression", "case", None),
    }
    assert "a later call differs from the verified one: element " in found["wavenet:tiny", 20].text
    assert "the worker exited with code 3" in found["wavenet:tiny", 8].text
    timed = found["pixelcnn:tiny", 27]
    assert (timed.outcome, timed.metric) == ("undecided", "seconds")
    assert {one["case"] for one in gate.instances} == {timed.case}


def test_a_version_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    """They are loaded together first, then each in a process of its own."""
    trees = []
    for name in ("old", "new"):
        package = tmp_path / name / "arbench" / "bench"
        package.mkdir(parents=True)
        (package.parent / "__init__.py").write_text("raise RuntimeError('broken')" if name == "new" else "")
        for file in ("__init__.py", "subject.py"):
            (package / file).touch()
        trees.append(version(tmp_path / name))
    gate = Gate(*trees, [WAVENET], chosen=SMALL)
    with pytest.raises(GateError, match=r"^new cannot be loaded: RuntimeError: broken$"):
        gate.run()
    assert gate.pool.apart


REPLACES = """
import torch as _torch
_library = _torch.library.Library("aten", "IMPL", "CPU")
"""


def test_versions_that_cannot_share_a_process_take_turns_in_their_own(copy_of_this_tree: Copy) -> None:
    trees = [version(copy_of_this_tree("old")), version(copy_of_this_tree("new", REPLACES))]
    together = Together(trees, seed=0, **HOW)
    try:
        together.ready()
        with pytest.raises(HostError, match="replaces operators of 'aten'") as refused:
            together.list_cases([{**WAVENET, "n": [8]}] * 2, False)
        assert refused.value.apart
    finally:
        together.close()
    host = Apart(trees, seed=0, **HOW)
    try:
        host.ready()
        assert host.environment["versions"]["torch"]
        cases = [next(iter(side.values())) for side in host.list_cases([{**WAVENET, "n": [8]}] * 2, False).sides]
        assert [host.verify(side, case).status for side, case in enumerate(cases)] == ["ok", "ok"]
        assert host.build(cases, [0, 1]) > 0
        timed = host.turns(rounds=3, calls=2)
        assert [len(seconds) for seconds in timed.seconds] == [3, 3]
        assert all(one > 0 for seconds in timed.seconds for one in seconds)
    finally:
        host.close()
