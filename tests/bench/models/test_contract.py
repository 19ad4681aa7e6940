"""Refusal of what no model may return, before anything is computed from it, with what is expected."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from arbench.bench.plan import Options, PlanError, make_plan

STARTER = (resources.files("arbench.cli.starters") / "model.py").read_text(encoding="utf-8")
SYMBOLS = "torch.randint(SYMBOLS, (n,), generator=g)"
EVENTS = f"return torch.stack([{SYMBOLS} for g in generators]), {{}}"
CLAIM = 'Claim(depth="1", work="N")'


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[str, str], str]:
    """Return a function that writes the starting file with one change, and returns its name for ``--model``."""

    def write(old: str, new: str) -> str:
        assert STARTER.count(old) == 1
        (tmp_path / "mine.py").write_text(STARTER.replace(old, new))
        return f"{tmp_path / 'mine.py'}:MyModel"

    return write


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (EVENTS, "return torch.zeros(n).long(), {}", "observe returns events (8,) for 1 row and N = 8; return (1, 8)"),
        (EVENTS, "return 3, {}", "observe returns events of type int for 1 row and N = 8; return (1, 8)"),
        (
            EVENTS,
            EVENTS.removesuffix(", {}"),
            "observe returns (1, 8); return events (B, N) and a dictionary of conditioning",
        ),
        (
            EVENTS,
            EVENTS.replace("), {}", ").float(), {}"),
            "observe returns events of torch.float32; the distribution draws symbols, return int64",
        ),
        (
            EVENTS,
            "return torch.full((len(rows), n), 16), {}",
            "observe returns symbols from 16 to 16; the distribution has 0 to 15",
        ),
        (
            "self.distribution = Categorical(SYMBOLS)",
            "from arbench.distributions import Normal\n        self.distribution = Normal()",
            "observe returns events of torch.int64; the distribution draws real numbers, return float32",
        ),
        (
            EVENTS,
            EVENTS.replace("{}", "[]"),
            "observe returns conditioning of type list; return a dictionary, empty for none",
        ),
        (
            EVENTS,
            EVENTS.replace("{}", "{'speaker': torch.zeros(3)}"),
            "observe returns conditioning 'speaker' (3,); return a tensor (1, ...)",
        ),
        (
            EVENTS,
            EVENTS.replace("{}", "{'speaker': torch.zeros(1).long()}"),
            "conditioning 'speaker' is of integers; set self.alphabets = {'speaker': HOW_MANY}",
        ),
        (CLAIM, "('1', 'N')", "claims[('score', 'parallel')] is ('1', 'N'); write Claim(depth='N', work='N')"),
        (
            '    element = "symbol"',
            "    ladder = 64",
            "ladder is 64; list sizes N, such as (64, 128, 256, 512, 1024)",
        ),
        (
            '    element = "symbol"',
            "    count_ladder = (0, 4)",
            "count_ladder is (0, 4); list sizes N, such as (64, 128, 256, 512, 1024)",
        ),
    ],
)
def test_a_plan_is_refused(old: str, new: str, said: str, changed) -> None:
    spec = changed(old, new)
    with pytest.raises(PlanError) as caught:
        make_plan(Options(models=[spec], n=[8]))
    assert str(caught.value) == f"model '{spec}:tiny': {said}"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "before = F.pad(self.embedding[f[:, :-1]], (0, 0, WINDOW, 0))",
            "before = F.pad(self.embedding[f[:, :-1]], (0, 0, WINDOW - 1, 0))",
            "forward returns parameters (1, 7, 16); a Categorical of these elements needs (1, 8, 16)",
        ),
        (
            "return logits[:, g0 - g1 :], before[:, -WINDOW:]",
            "return logits[:, g0 - g1 :]",
            "extend returns (1, 1, 16); return parameters and the new state",
        ),
        (
            "return logits[:, g0 - g1 :], before[:, -WINDOW:]",
            "return logits[:, 0], before[:, -WINDOW:]",
            "extend returns parameters (1, 16); a Categorical of these elements needs (1, 1, 16)",
        ),
    ],
)
def test_wrong_parameters_are_no_leak(old: str, new: str, said: str, changed, measure) -> None:
    results = measure(changed(old, new), n=[8], methods=["cached"])
    assert [(case.status, case.error) for case in results.cases.values()] == [("inexact", said)]
