"""arbench run --suite: from the file to the table by family, and resumed."""

from __future__ import annotations

from arbench.models import FAMILIES
from arbench.results import read

MINE = """
title = "Two families"
[options]
workers = 1
rounds = 5
count-budget = 2
[[models]]
model = "wavenet:tiny"
n = [8, 16]
methods = ["parallel", "cached"]
ops = "sample"
[[models]]
model = "parallel_wavenet:tiny"
n = [8, 16]
methods = ["parallel", "inversion"]
"""


def test_a_suite_is_run_shown_by_family_and_resumed(answer, refusal, inside, tmp_path):
    suite, out = tmp_path / "mine.toml", tmp_path / "out"
    suite.write_text(MINE.replace('ops = "sample"\n', ""))
    found = answer("run", "--suite", suite, "--rounds", 1, "--out", out)
    assert found.code == 0, found.err
    lines = found.out.splitlines()
    (at,) = [i for i, line in enumerate(lines) if line == "How scoring and sampling grow, by family"]
    shown = lines[at:]
    assert [line for line in shown if line in FAMILIES.values()] == [FAMILIES["sequential"], FAMILIES["flow"]]
    (wavenet,) = [line for line in shown if line.startswith("wavenet:tiny")]
    (student,) = [line for line in shown if line.startswith("parallel_wavenet:tiny")]
    assert wavenet.split()[1:5] == ["8-16", "O(1)", "46", "O(N)"]
    assert "O(N) 35·N + 7" in student
    assert any(line.endswith("Claims on depth and work: 8 hold.") for line in lines[:at])
    results = read(out)
    assert (results.run.plan["options"]["rounds"], results.run.plan["options"]["suite"]) == (1, str(suite))
    assert [(line.model, line.family) for line in results.models.values()] == [
        ("wavenet", FAMILIES["sequential"]),
        ("parallel_wavenet", FAMILIES["flow"]),
    ]
    again = answer("run", "--resume", "--out", out)
    assert again.code == 0
    assert read(out).samples == results.samples
    suite.write_text(MINE)
    said = refusal("run", "--resume", "--out", out)
    assert said.startswith(f"{out}/results.jsonl contains a run of other cases: {suite} has changed since")
    suite.unlink()
    assert refusal("run", "--resume", "--out", out) == f"suite {suite}: No such file or directory"
