"""Whatever a results file contains, it is rendered or refused in one line; nothing ends with a traceback."""

from __future__ import annotations

import random
import traceback
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from arbench.gate.stored import read_stored
from arbench.results import AnyLine, read

HERE = Path(__file__).parent
BASES = (
    ("reports/cpu-2core/results.jsonl", ("wavenet:nv/score/parallel/", "wavenet:nv/sample/cached/"), 4),
    ("reports/cpu-2core/kernels/results.jsonl", ("softmax:rows=16000,width=256/", "softmax:rows=512"), 1),
)
METRICS = ("seconds", "depth", "flops", "peak_bytes")


def outcomes(
    load, folder: Path, seed: int, count: int, figures_each: int, follow_each: int
) -> tuple[Counter[bool], list[str]]:
    """Return how many files were read or refused, and the tracebacks of those that were neither.

    Args:
        load: the fixture.
        folder: where the files go.
        seed: of the mutations.
        count: number of files.
        figures_each: page and figures of one file in so many of those of a base that are read.
        follow_each: a history of one file in so many of them too.
    """
    module, rng = load(HERE / "mutations.py"), random.Random(seed)
    bases = [module.base(*one) for one in BASES]
    assert {line["kind"] for line in bases[0]} == {kind.__struct_config__.tag for kind in get_args(AnyLine)}
    path, seen, failed = folder / "results.jsonl", Counter[bool](), []
    read_before = []
    for lines in bases:
        path.write_bytes(module.encoded(lines))
        read_before.append(read(path))
        assert module.survives(path, read_before[-1], "seconds")
    turns = [0] * len(bases)
    for number in range(count):
        which = number % len(bases)
        turn, metric = turns[which], METRICS[number // 2 % len(METRICS)]
        raw = module.mutated(rng, bases[which])
        path.write_bytes(raw)
        try:
            figures = turn % figures_each == which  # of another turn than 0, so not always of the history too
            is_read = module.survives(path, read_before[which], metric, figures, turn % follow_each == 0)
            turns[which] += is_read
            seen[is_read] += 1
        except Exception:
            (folder / f"failed-{number}.jsonl").write_bytes(raw)
            failed.append(f"seed {seed}, file {number}:\n{traceback.format_exc()}")
    return seen, failed


def test_mutated_files_are_rendered_or_refused(load, tmp_path):
    seen, failed = outcomes(load, tmp_path, 1, 200, 200, 10)
    assert not failed, "\n".join(failed[:3])
    assert min(seen[True], seen[False]) > 40  # neither all are refused, nor do all pass


@pytest.mark.parametrize(("seed", "count"), [(15, 150), pytest.param(1, 5000, marks=pytest.mark.slow)])
def test_mutated_files_of_pytest_benchmark_are_compared_or_refused(load, tmp_path, seed, count):
    module, rng = load(HERE / "mutations.py"), random.Random(seed)
    whole = module.stored_base(module.base(*BASES[0]))
    path, seen = tmp_path / "0001_stored.json", Counter[bool]()
    path.write_bytes(module.encoded([whole]))
    before = read_stored(path)
    assert module.survives(path, before, "seconds")
    for number in range(count):
        path.write_bytes(module.mutated(rng, [whole]))
        seen[module.survives(path, before, METRICS[number % len(METRICS)], follow=number % 50 == 0)] += 1
    assert min(seen[True], seen[False]) > count / 5


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_ten_thousand_mutated_files_are_rendered_or_refused(load, tmp_path, seed):
    seen, failed = outcomes(load, tmp_path, seed, 1000, 20, 1)
    assert not failed, f"{len(failed)} of 1000:\n" + "\n".join(failed[:3])
    assert min(seen[True], seen[False]) > 100
