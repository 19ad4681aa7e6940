"""Environment, limits and command as text."""

from __future__ import annotations

import msgspec

from arbench.report.facts import command, environment, limits


def test_facts(results) -> None:
    pairs = dict(environment(results.run))
    assert pairs["cpu.flags"] == "avx2, fma"
    assert pairs["threads.torch"] == "2"
    assert "gpu" not in pairs
    assert ("copy, 2.097 MB", "61.5 GB/s") in limits(results.run)
    odd = msgspec.structs.replace(results.run, limits={"copy": [], "new": {"a": [{"b": True}]}})
    assert limits(odd) == [("new.a.0.b", "yes")]


def test_command_drops_the_programs_path(results) -> None:
    for program in ("/somewhere/bin/arbench", "arbench", "/x/arbench/__main__.py"):
        run = msgspec.structs.replace(results.run, argv=[program, "run", "--out", "a b"])
        assert command(run) == "arbench run --out 'a b'"
    run = msgspec.structs.replace(results.run, argv=["run", "--n", "4"])
    assert command(run) == "arbench run --n 4"
