"""How often `arbench history` reports a step in durations, for simulated series without and with a step.

    python benchmarks/history_trial.py --out reports/history

A simulated series has one duration per commit around a level. "Noise" is the relative standard deviation of a
duration. A step is found if one is reported within two commits of its true place.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from arbench.stats.steps import LEVEL, noisy_steps

Floats = np.ndarray
Draw = Callable[[np.random.Generator, int], Floats]


def correlated(rng: np.random.Generator, n: int, share: float = 0.3) -> Floats:
    """Return normal noise in which neighbours have correlation ``share``."""
    fresh = rng.normal(size=n) * np.sqrt(1 - share**2)
    values = [rng.normal()]
    for one in fresh[1:]:
        values.append(share * values[-1] + one)
    return np.array(values)


NOISE: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "heavy tails (Student, 3 degrees)": lambda rng, n: rng.standard_t(3, n) / np.sqrt(3),
    "skewed (exponential)": lambda rng, n: rng.exponential(size=n) - 1,
    "drift of 1 deviation in total": lambda rng, n: rng.normal(size=n) + np.linspace(0, 1, n),
    "drift of 3 deviations in total": lambda rng, n: rng.normal(size=n) + np.linspace(0, 3, n),
    "drift of 10 deviations in total": lambda rng, n: rng.normal(size=n) + np.linspace(0, 10, n),
    "correlated neighbours (correlation 0.3)": correlated,
}
LENGTHS = (12, 25, 50, 100)
STEPS, NOISES = (0.02, 0.05, 0.10), (0.01, 0.03, 0.10)


def false_rate(draw: Draw, n: int, series: int, rng: np.random.Generator) -> float:
    """Return the share of series without a step in which one is reported, at a noise of 3%."""
    return sum(bool(noisy_steps(np.exp(0.03 * draw(rng, n)))) for _ in range(series)) / series


def power(step: float, noise: float, n: int, at: int, series: int, rng: np.random.Generator) -> float:
    """Return the share of series with a step at ``at`` in which it is found."""
    level = np.where(np.arange(n) < at, 1.0, 1 + step)
    found = 0
    for _ in range(series):
        steps = noisy_steps(level * np.exp(noise * rng.normal(size=n)))
        found += any(abs(one.index - at) <= 2 for one in steps)
    return found / series


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the tables.")
@click.option("--series", default=300, show_default=True, help="Number of simulated series for each share.")
@click.option("--seed", default=0, show_default=True, help="Seed of the noise.")
def main(out: Path, series: int, seed: int) -> None:
    """Run the trial."""
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    false = {name: [false_rate(draw, n, series, rng) for n in LENGTHS] for name, draw in NOISE.items()}
    places = {"in the middle": lambda n: n // 2, "3 commits ago": lambda n: n - 3}
    found = {
        (step, noise, where): [power(step, noise, n, at(n), series, rng) for n in LENGTHS]
        for step in STEPS
        for noise in NOISES
        for where, at in places.items()
    }
    with (out / "trial.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["what", "noise", "step", "where", "commits", "series", "share"])
        what = {(name, 0.03, 0, ""): rates for name, rates in false.items()}
        what |= {("normal", noise, step, where): rates for (step, noise, where), rates in found.items()}
        for key, rates in what.items():
            rows.writerows([*key, n, series, rate] for n, rate in zip(LENGTHS, rates, strict=True))
    lines = [
        "# Steps of simulated times",
        "",
        f"Share of series without a step in which one is reported, at a nominal {LEVEL:.0%}:",
        "",
        *table(["noise"], [([name], rates) for name, rates in false.items()]),
        "",
        "Share of series in which a step is found, with normal noise:",
        "",
        *table(
            ["step", "noise", "where"],
            [([f"{s:.0%}", f"{e:.0%}", where], rates) for (s, e, where), rates in found.items()],
        ),
        "",
        f"{series} series for each share, seed {seed}.",
    ]
    (out / "trial.md").write_text("\n".join([*lines, ""]), encoding="utf-8")
    click.echo("\n".join(lines))


def table(heads: list[str], rows: list[tuple[list[str], list[float]]]) -> list[str]:
    """Return the lines of a Markdown table, with a column for each length."""
    top = [*heads, *(f"{n} commits" for n in LENGTHS)]
    cells = [[*words, *(f"{rate:.1%}" for rate in rates)] for words, rates in rows]
    rules = ["---"] * len(heads) + ["---:"] * len(LENGTHS)
    return ["| " + " | ".join(row) + " |" for row in (top, rules, *cells)]


if __name__ == "__main__":
    main()
