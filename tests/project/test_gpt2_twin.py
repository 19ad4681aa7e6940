"""The script that compares one GPT-2 in two programs finds whether they agree, and says why one is slower."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
from msgspec import structs

pytest.importorskip("transformers", reason="other people's language models need pip install 'arbench[hf]'")

from arbench.models import resolve
from arbench.results import SCHEMA, Case, Operator, Profile, Results, Run, Writer

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpt2_twin.py"
SECONDS = {("hf", "parallel"): 0.25, ("transformer", "parallel"): 0.2, ("hf", "cached"): 0.9, ("hf", "generate"): 1.0}
SECONDS |= {("transformer", "cached"): 1.8}


@pytest.fixture
def script(load: Callable[[Path], ModuleType]) -> ModuleType:
    return load(SCRIPT)


def case(model: str, method: str, n: int, seconds: float | None) -> Case:
    op: Any = "score" if method == "parallel" else "sample"
    where: Any = {"backend": "eager", "device": "cpu", "dtype": "float32", "batch": 1, "n": n, "element": "token"}
    return Case(
        id=f"{model}/{op}/{method}/{n}",
        model=model,
        preset="gpt2-random",
        op=op,
        method=method,
        weights=124_439_808,
        status="timeout" if seconds is None else "ok",
        error="no answer in 600 s" if seconds is None else None,
        exactness="pointwise",
        median_s=seconds,
        **where,
    )


def profile(line: Case, **more: Any) -> Profile:
    """Return the profile of a case: what is not Python takes as long in both programs."""
    assert line.median_s is not None
    fixed = {"fixed_s": 0.02, "slower_s": 0.03, "arithmetic_s": 0.0, "memory_s": 0.1}
    parts: Any = {"outside_s": line.median_s - 0.15, "operators_s": 0.15, **fixed, **more}
    most = [Operator("aten::addmm", 48, 0.1, 0.09)]
    return Profile(line.id, line.median_s, line.median_s * 2, 7, outside="python", operators=4_000, most=most, **parts)


@pytest.fixture
def measured() -> Callable[..., Results]:
    """Return a function that makes what a run of the two measured, at 16 tokens and at 64, and profiled at 16."""

    def made(seconds: dict[tuple[str, str], float | None] = SECONDS, profiled: int = 16, **more: Any) -> Results:
        results = Results(Run(SCHEMA, "run", "2026-01-01T00:00:00+00:00", [], 0, None, {"options": {}}, {}, {}))
        for (model, method), each in seconds.items():
            for n in (16, 64):
                results.add(line := case(model, method, n, each and each * n / 16))
                if n == profiled and each:
                    results.add(profile(line, **more))
        return results

    return made


def report(script: ModuleType, results: Results, sizes: str = "16,64") -> str:
    return str(script.readme(script.Agreement(3.2e-6, 128, 48, 0), ["hf:gpt2 is right"], results, sizes))


def test_weights_of_one_folder_agree_and_others_do_not(script: ModuleType, tmp_path: Path) -> None:
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


def test_the_report_has_both_in_one_table_and_says_why_one_is_slower(
    script: ModuleType, measured: Callable[..., Results]
) -> None:
    text = report(script, measured())
    assert "| log-probabilities in float32 | 128 tokens | they differ by 3.2e-06 at most, 1e-04 is allowed |" in text
    assert "| draws under the same noise | 48 tokens | 0 differ |" in text
    assert "\n    hf:gpt2 is right\n" in text
    assert "| score `parallel` | 16 | 0.25 s | 0.20 s | transformers, 1.2x |" in text
    assert "| sample `cached` | 64 | 3.6 s | 7.2 s | arbench, 2.0x |" in text
    assert "`generate`" not in text, "one of the two has none"
    why = [line for line in text.splitlines() if line.startswith("- ")]
    assert why == [
        "- parallel, score at N = 16: hf:gpt2-random takes 1.2x as long as transformer:gpt2-random (+50 ms a call): "
        "+50 ms Python between operators; 4,000 calls of operators against 4,000.",
        "- cached, sample at N = 16: transformer:gpt2-random takes 2.0x as long as hf:gpt2-random (+0.90 s a call): "
        "+0.90 s Python between operators; 4,000 calls of operators against 4,000.",
    ]
    assert "hf:gpt2-random sample generate, N = 16: a call takes 1.0 s" in text
    assert "differ on which is slower" not in text
    assert "python benchmarks/gpt2_twin.py --out reports/twins --n 16,64\n" in text
    assert "--n" not in report(script, measured(), script.SIZES)


def test_a_profile_that_finds_the_other_one_slower_is_no_explanation(
    script: ModuleType, measured: Callable[..., Results]
) -> None:
    results = measured()
    theirs = results.cases["hf/sample/cached/16"]
    results.add(structs.replace(theirs, median_s=2.5))
    assert "\nThe table and the profile differ on which is slower in sample `cached`: " in report(script, results)


def test_a_report_that_would_explain_nothing_is_refused(script: ModuleType, measured: Callable[..., Results]) -> None:
    def refused(results: Results) -> str:
        with pytest.raises(click.ClickException) as caught:
            report(script, results)
        return caught.value.message

    assert refused(measured(profiled=0)) == "no profile of sample cached; add a smaller number to --n"
    assert refused(measured(arithmetic_s=None, why_unknown="one has no formula")) == (
        "a profile does not divide its time: one has no formula"
    )
    late = refused(measured(SECONDS | {("transformer", "cached"): None}))
    assert late == "transformer/sample/cached/16 has no time: no answer in 600 s"


def test_the_two_are_profiled_in_a_run_of_their_own(
    script: ModuleType, measured: Callable[..., Results], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []

    def said(words: list[str], here: Path) -> str:
        ran.append(words)
        if words[0] == "run":
            folder = here / words[words.index("--out") + 1]
            folder.mkdir()
            results = measured()
            with Writer(folder / "results.jsonl") as writer:
                for line in (results.run, *results.cases.values(), *results.profiles.values()):
                    writer.write(line)
        return f"{words[2]} is right\n\nchecked"

    small = {"vocab_size": 300, "n_embd": 16, "n_layer": 1, "n_head": 2, "bos_token_id": 0}
    monkeypatch.setattr(script, "said", said)
    monkeypatch.setattr(script, "saved", partial(script.saved, **small))
    script.main(["--out", str(tmp_path / "out"), "--n", "16,64"], standalone_mode=False)
    pair, others = (words for words in ran if words[0] == "run")
    assert [one for one in pair if "gpt2" in one or ":" in one] == ["hf:gpt2-random", "transformer@gpt2-random/"]
    assert "--profile" in pair
    assert [one.partition(",")[0] for one in others if ":" in one] == ["hf:llama", "hf:mamba"]
    text = (tmp_path / "out" / "README.md").read_text()
    assert "    transformer@gpt2-random/ is right\n" in text
    assert "takes 2.0x as long as" in text
    kept = {one.relative_to(tmp_path / "out").as_posix() for one in (tmp_path / "out").rglob("*.*")}
    assert kept == {"README.md", "results.jsonl", "small/results.jsonl"}
