"""One GPT-2 in two programs: the package transformers and the transformer of arbench, with the same weights.

    python benchmarks/gpt2_twin.py --out reports/twins

Random weights of the published GPT-2-small shape are saved by the package to a temporary folder, and both read them
there. The log-probabilities of the same tokens and the draws under the same noise are compared; ``arbench verify``
checks both, and a small Llama and Mamba of the package. ``arbench run --profile`` measures the two in a run of their
own, so that its profile says why one is slower than the other; a second run measures the small ones. Nothing is
downloaded. It takes some minutes on one core, 4 GB of memory and, for a while, 0.5 GB of disk. Needs the extra ``hf``:
``pip install '.[hf]'``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import torch

from arbench.adapters.hf.package import transformers
from arbench.methods import CACHED, Task
from arbench.models import Source, resolve
from arbench.report.models.profiles import differences, profiles
from arbench.results import Case, Profile, Results, read
from arbench.stats.digits import format_ratio, format_seconds

FOLDER = "gpt2-random"
SHAPE = "12 layers of width 768, 12 heads, 50,257 tokens, 1,024 positions"
THEIRS, OURS = f"hf:{FOLDER}", f"transformer@{FOLDER}/"
LLAMA = (
    "hf:llama,vocab_size=4096,hidden_size=256,intermediate_size=688,num_hidden_layers=4,num_attention_heads=8,"
    "num_key_value_heads=4,max_position_embeddings=2048"
)
MAMBA = "hf:mamba,vocab_size=4096,hidden_size=256,num_hidden_layers=4,state_size=16"
PAIR, SMALL = (THEIRS, OURS), (LLAMA, MAMBA)
PATIENCE = "600"
"""Seconds that a step may take, on a busy machine too."""
METHODS = ["--method", "parallel", "--method", "cached", "--method", "generate"]
MEASURED = f"--rounds 2 --workers 2 --count-budget 4 --timeout {PATIENCE}".split()
SIZES = "4,16,64"
"""Numbers of tokens: a profile is made of calls of up to two seconds, which on a slow core are few tokens."""
SECOND = "small"
"""Folder of the run of the small models, in that of the report."""
SCORED, DRAWN, EVENTS = 64, 24, 2
ALLOWED = 1e-4
"""Largest difference of a log-probability in float32."""


@dataclass(frozen=True)
class Agreement:
    """How far two models with the same weights agree.

    Attributes:
        log_prob: largest difference of the log-probability of a token.
        scored: number of tokens whose log-probabilities were compared.
        drawn: number of tokens that both drew from the same noise.
        other: number of them that differ.
    """

    log_prob: float
    scored: int
    drawn: int
    other: int


def saved(folder: Path, **shape: int) -> None:
    """Save a GPT-2 with random weights, as the package does; by default of the published shape."""
    package = transformers()
    torch.manual_seed(0)
    package.GPT2LMHeadModel(package.GPT2Config(**shape)).save_pretrained(folder)


def agreement(theirs: Source, ours: Source, scored: int, drawn: int, events: int = EVENTS) -> Agreement:
    """Compare two models in the log-probabilities of the same tokens, and in draws under the same noise."""
    with torch.no_grad():
        x = theirs.observe(scored, range(events), seed=0)[0]
        first, second = (one.distribution.log_prob(one(x, one.encode({}, scored)), x) for one in (theirs, ours))
        noise = theirs.distribution.noise(1, range(events), range(drawn), torch.float32)
        mine, other = (CACHED.run(one, Task(drawn, {}, noise=noise)).x for one in (theirs, ours))
    return Agreement(float((first - second).abs().max()), x.numel(), mine.numel(), int((mine != other).sum()))


def said(words: Sequence[str], here: Path) -> str:
    """Run a command of arbench in a folder; return what it prints. Ends this program where it finds a fault."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", "from arbench.cli import main; main()", *words],
        cwd=here,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise click.ClickException(f"arbench {' '.join(words)} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def verifying(model: str) -> list[str]:
    """Return the words of ``arbench verify`` for a model, one event and the methods that it has."""
    methods = METHODS if model.startswith("hf:") else METHODS[:-2]
    return f"verify --model {model} --n 8 --batch 1 --dtype float32 --timeout {PATIENCE}".split() + methods


def running(models: Sequence[str], sizes: str, folder: str) -> list[str]:
    """Return the words of ``arbench run`` for models, numbers of tokens, and the folder of the run."""
    named = [word for model in models for word in ("--model", model)]
    return ["run", *named, *METHODS, "--n", sizes, *MEASURED, "--out", folder]


def both(results: Results) -> Iterator[tuple[Case, Case]]:
    """Yield the cases of the package's GPT-2 and of ours that do the same job at the same number of tokens."""
    names = [spec.replace("@", ":").partition(":")[0] for spec in PAIR]
    found = [
        {(case.op, case.method, case.n): case for case in results.cases.values() if case.model == name}
        for name in names
    ]
    yield from ((found[0][job], found[1][job]) for job in found[0] if job in found[1])


def times(results: Results) -> str:
    """Return the table of what both measured. Raises ClickException where a time is missing."""
    lines = ["| job | tokens | transformers | arbench | which is slower |", "| --- | ---: | ---: | ---: | --- |"]
    for pair in both(results):
        told = []
        for case in pair:
            if case.median_s is None:
                raise click.ClickException(f"{case.id} has no time: {case.error or case.status}")
            told.append((case.median_s, format_seconds(case.median_s, case.ci95_s or case.range_s)))
        (theirs, first), (ours, second) = told
        slower = "transformers" if theirs > ours else "arbench"
        ratio = format_ratio(max(theirs, ours) / min(theirs, ours))
        lines.append(f"| {pair[0].op} `{pair[0].method}` | {pair[0].n:,} | {first} | {second} | {slower}, {ratio} |")
    return "\n".join(lines)


def reasons(results: Results) -> str:
    """Return why one is slower in each job that both have been profiled in.

    Raises:
        ClickException: there is no such job, or a profile does not divide its time; says which and why.
    """
    profiled = [pair for pair in both(results) if all(case.id in results.profiles for case in pair)]
    jobs = {(case.op, case.method) for case, _ in profiled}
    if lacking := sorted({(case.op, case.method) for case, _ in both(results)} - jobs):
        raise click.ClickException(f"no profile of {lacking[0][0]} {lacking[0][1]}; add a smaller number to --n")
    why = differences(results, of_methods=False)
    if len(why) < len(profiled):
        unknown = [line.why_unknown for line in results.profiles.values() if line.why_unknown]
        raise click.ClickException(
            f"a profile does not divide its time: {unknown[0] if unknown else 'no reason given'}"
        )
    found = results.profiles
    other = [one for one, two in profiled if _longer(one, two) != _longer(found[one.id], found[two.id])]
    named = ", ".join(f"{case.op} `{case.method}`" for case in other)
    doubt = f"\n\nThe table and the profile differ on which is slower in {named}: less than processes differ by."
    return "\n".join(f"- {line}." for line in why) + (doubt if other else "")


def _longer(one: Case | Profile, two: Case | Profile) -> bool:
    """Return whether the first takes longer, as both were timed or profiled."""
    first, second = (line.seconds if isinstance(line, Profile) else line.median_s or 0.0 for line in (one, two))
    return first > second


def readme(found: Agreement, verified: Sequence[str], results: Results, sizes: str = SIZES) -> str:
    """Return the text of the report.

    Args:
        found: how far the two GPT-2 agree.
        verified: what ``arbench verify`` says of each model.
        results: what the run of the two measured.
        sizes: numbers of tokens, as they were given.

    Raises:
        ClickException: a time or a profile is missing.
    """
    told = "\n\n".join("\n".join(f"    {line}" for line in one.lines[:2]) for one in profiles(results))
    most = f"they differ by {found.log_prob:.1e} at most, {ALLOWED:.0e} is allowed"
    checks = "\n".join(f"    {line}" for line in verified)
    given = "" if sizes == SIZES else f" --n {sizes}"
    return f"""# One GPT-2 in two programs

Random weights of the published shape of GPT-2 small ({SHAPE}),
saved by transformers, are read by `hf:` (the package's own network and cache) and by arbench's `transformer`. Beside
them are a Llama and a Mamba of the package, of small sizes. All is repeated by

    python benchmarks/gpt2_twin.py --out reports/twins{given}

## The same model

| what | compared | result |
| --- | --- | --- |
| log-probabilities in float32 | {found.scored:,} tokens | {most} |
| draws under the same noise | {found.drawn:,} tokens | {found.other:,} differ |

## Verified

{checks}

## Which is slower, and why

{times(results)}

The profiles of the same run say where the difference lies:

{reasons(results)}

Each profile, in two lines:

{told}

Claims, growth and memory are in [results.jsonl](results.jsonl), those of a second run of the small Llama and Mamba in
[{SECOND}/results.jsonl]({SECOND}/results.jsonl): `arbench report reports/twins --out FOLDER` shows them.
"""


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the report.")
@click.option("--n", "sizes", default=SIZES, show_default=True, help="Numbers of tokens to measure.")
def main(out: Path, sizes: str) -> None:
    """Compare, verify, measure, and write the report."""
    with tempfile.TemporaryDirectory() as place:
        here = Path(place)
        saved(here / FOLDER)
        before = Path.cwd()
        os.chdir(here)
        try:
            theirs, ours = (resolve(spec).build() for spec in PAIR)
            found = agreement(theirs, ours, SCORED, DRAWN)
        finally:
            os.chdir(before)
        click.echo(f"{found}")
        if not found.log_prob <= ALLOWED or found.other:
            raise click.ClickException("the two models differ")
        checks = [said(verifying(model), here).partition("\nchecked")[0] for model in (*PAIR, *SMALL)]
        verified = [" ".join(text.split()) for text in checks]
        click.echo("\n".join(verified))
        click.echo(said([*running(PAIR, sizes, "run"), "--profile"], here))
        click.echo(said(running(SMALL, sizes, SECOND), here))
        for run, folder in (("run", out), (SECOND, out / SECOND)):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "results.jsonl").write_bytes((here / run / "results.jsonl").read_bytes())
        text = readme(found, verified, read(out / "results.jsonl"), sizes)
        (out / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
