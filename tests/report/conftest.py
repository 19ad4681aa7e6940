"""Synthetic results files, written through `Writer`: a run of three models, a run of kernels, and both."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from arbench.report import render
from arbench.report.drawings import draw
from arbench.report.figures.drawing import Drawing
from arbench.results import KEY, Case, Count, Fit, Line, Ratio, Results, Run, Samples, Writer, read
from arbench.stats import fit_exact, fit_noisy, judge, ratio, summarise

AUDIO = [256, 512, 1024, 2048, 4096, 16384]
IMAGES = [48, 108, 192, 432, 768]
LIMIT_S = 8.0


@dataclass
class Method:
    """Depth, evaluations and seconds of one synthetic method as functions of N."""

    op: str
    name: str
    claim: str
    depth: Callable[[int], int]
    nfe: Callable[[int], int]
    seconds: Callable[[int], float]
    exactness: str = "pointwise"
    exact: bool = True


def rows(n: int) -> int:
    return math.isqrt(n // 3)


def passes(n: int) -> int:
    return 8 + n % 7 % 3


WAVENET = [
    Method("score", "parallel", "1", lambda n: 106, lambda n: 1, lambda n: 2e-3 + 3.1e-6 * n),
    Method("score", "sequential", "1", lambda n: 131, lambda n: n, lambda n: 7.4e-4 * n),
    Method("sample", "naive", "N", lambda n: 106 * n, lambda n: n, lambda n: 1.1e-3 * n + 1.6e-6 * n * n),
    Method("sample", "cached", "N", lambda n: 148 * n + 3, lambda n: n, lambda n: 7.9e-4 * n),
    Method("sample", "fixed_point", "<= N", lambda n: 110 * passes(n), passes, lambda n: 0.03 + 4e-5 * n, exact=False),
]
PIXELCNN = [
    Method("score", "parallel", "1", lambda n: 214, lambda n: 1, lambda n: 4e-3 + 2e-5 * n),
    Method("score", "sequential", "1", lambda n: 9 * n + 4 * rows(n) + 61, lambda n: n, lambda n: 2e-3 * n),
    Method("sample", "naive", "N", lambda n: 219 * n, lambda n: n, lambda n: 4e-3 * n + 1.9e-5 * n * n),
    Method("sample", "cached", "N", lambda n: 173 * n + 40 * rows(n) + 12, lambda n: n, lambda n: 3.1e-3 * n),
    Method(
        "sample",
        "fixed_point",
        "<= N",
        lambda n: 220 * (n // 9),
        lambda n: n // 9,
        lambda n: 4e-3 * (n // 9),
        exact=False,
    ),
]
STUDENT = [
    Method("score", "inversion", "N", lambda n: 260 * n + 18, lambda n: n, lambda n: 1.4e-3 * n),
    Method(
        "score",
        "inversion_fixed_point",
        "<= N",
        lambda n: 262 * passes(n),
        passes,
        lambda n: 0.1 + 1e-4 * n,
        exact=False,
    ),
    Method("score", "own_samples", "1", lambda n: 251, lambda n: 1, lambda n: 6e-3 + 7e-6 * n),
    Method("sample", "parallel", "1", lambda n: 249, lambda n: 1, lambda n: 6e-3 + 7e-6 * n),
]
MODELS = [
    ("wavenet", "nv", "audio sample", 16_000.0, AUDIO, WAVENET, 469_376),
    ("pixelcnn", "gated", "sub-pixel", None, IMAGES, PIXELCNN, 5_301_760),
    ("parallel_wavenet", "paper", "audio sample", 24_000.0, AUDIO, STUDENT, 2_984_196),
]
ENVIRONMENT = {
    "cpu": {"name": "Example 4-core, 2.4 GHz", "cores": 4, "flags": ["avx2", "fma"]},
    "gpu": None,
    "threads": {"torch": 2, "OMP_NUM_THREADS": "2"},
    "versions": {"arbench": "0.1.0", "python": "3.11.7", "torch": "2.13.0"},
    "load": [0.4, 0.3, 0.2],
}
LIMITS = {
    "copy": [{"bytes": 2**k, "gb_per_s": g} for k, g in ((16, 92.1), (21, 61.5), (28, 11.2))],
    "matmul": {"float32": 147.3, "float64": 71.9},
    "timer_s": 1.1e-6,
}


def run_line() -> Run:
    return Run(
        schema=1,
        run_id="2026-01-05T12-00-00",
        started_at="2026-01-05T12:00:00+00:00",
        argv=["arbench", "run", "--model", "wavenet", "--data", "my voice.wav", "--out", "runs/first"],
        seed=0,
        git="0123abc",
        plan={"models": ["wavenet:nv", "pixelcnn:gated", "parallel_wavenet:paper"], "workers": 6},
        environment=ENVIRONMENT,
        limits=LIMITS,
    )


def write(path: Path, models=MODELS, kernels=(), workers: int = 6, edit=lambda line: line, described=()) -> Results:
    """Write the synthetic run and read it back.

    Args:
        path: the results file.
        models: the models to include, as in ``MODELS``.
        kernels: the kernels to include, as in ``KERNELS``.
        workers: workers per case.
        edit: replaces a line by another, by a list of lines, or by None for no line.
        described: ``Model`` lines, which older files do not have.
    """
    rng = np.random.default_rng(7)
    with Writer(path) as writer:
        for line in [
            run_line(),
            *described,
            *lines(rng, models, workers),
            *kernel_lines(rng, kernels, workers),
        ]:
            kept = edit(line)
            for one in kept if isinstance(kept, list) else [] if kept is None else [kept]:
                writer.write(one)
    return read(path)


def lines(rng: np.random.Generator, models, workers: int):
    for model, preset, element, rate_hz, sizes, methods, weights in models:
        made: dict[str, dict] = {}
        for method in methods:
            made |= cases(rng, model, preset, element, rate_hz, sizes, method, weights, workers)
        for case, samples in made.values():
            yield from (Samples(case.id, w, 0, 1.7e9, [s]) for w, s in samples.items())
            yield case
        yield from ratios(made)
        yield from fits(made, methods)


def cases(rng, model, preset, element, rate_hz, sizes, method: Method, weights, workers):
    made = {}
    for n in sizes:
        seconds = method.seconds(n)
        status = "over_budget" if seconds > LIMIT_S else "ok"
        error = "predicted 12 s a call, budget 8 s" if status == "over_budget" else None
        if (model, method.name, n) == ("pixelcnn", "fixed_point", 768):
            status, error = "inexact", "element 431 differs: 17 instead of 18"
        if (model, method.name, n) == ("pixelcnn", "naive", 768):
            status, error = "timeout", "no answer in 60 s"
        bias = {w: rng.normal(0, 0.02) for w in range(workers)}
        samples = (
            {w: float(seconds * np.exp(rng.normal(0, 0.01) + bias[w])) for w in range(workers)}
            if status == "ok"
            else {}
        )
        summary = summarise({w: [s] for w, s in samples.items()}) if samples else None
        case = Case(
            id=f"{model}:{preset}/{method.op}/{method.name}/{n}",
            model=model,
            preset=preset,
            op=method.op,
            method=method.name,
            backend="eager",
            device="cpu",
            dtype="float32",
            batch=1,
            n=n,
            element=element,
            weights=weights,
            status=status,
            exactness=method.exactness,
            error=error,
            rate_hz=rate_hz,
            depth=method.depth(n),
            nfe=method.nfe(n),
            flops=2 * weights * n,
            ops=method.depth(n),
            peak_bytes=4096 * n,
            count_source="counted" if n <= 1024 else "extrapolated",
            median_s=summary.median_s if summary else None,
            ci95_s=summary.ci95_s if summary else None,
            range_s=summary.range_s if summary else None,
            workers=len(samples),
            samples=len(samples),
            stopped_by="target" if samples else None,
            unstable=(method.name, n) == ("naive", 256),
        )
        made[case.id] = (case, samples)
    return made


def ratios(made):
    references = {"score": ("sequential", "inversion"), "sample": ("naive",)}
    for case, samples in made.values():
        for other, theirs in made.values():
            if (
                other.op == case.op
                and other.n == case.n
                and other.id != case.id
                and other.method in references[case.op]
                and samples
                and theirs
            ):
                found = ratio({(w, 0): s for w, s in samples.items()}, {(w, 0): s for w, s in theirs.items()})
                yield Ratio(case.id, other.id, found.ratio, found.ci95, found.range, found.workers)


def fits(made, methods):
    for method in methods:
        same = [pair for pair in made.values() if (pair[0].op, pair[0].method) == (method.op, method.name)]
        counted = [case for case, _ in same]
        timed = [(case, samples) for case, samples in same if samples]
        ns = [case.n for case in counted]
        depths = [case.depth for case in counted]
        grown = fit_exact(ns, depths) if method.exact else fit_noisy(ns, [[d] for d in depths])
        verdict, why = judge(method.claim, grown, method.exact)
        yield fit(counted[0], "depth", method.claim, grown, verdict, why)
        workers = {w: {c.n: s[w] for c, s in timed} for w in (timed[0][1] if timed else [])}
        if timed:
            grown = fit_noisy([case.n for case, _ in timed], workers)
            yield fit(counted[0], "seconds", None, grown, "undecided", "nothing is claimed of time")


def fit(case: Case, metric, claimed, growth, verdict, why) -> Fit:
    return Fit(
        **dict(zip(KEY, case.key, strict=True)),
        metric=metric,
        claimed=claimed,
        fitted=growth.fitted,
        sizes=list(growth.sizes),
        values=list(growth.values),
        intercept=growth.intercept,
        slope=growth.slope,
        exponent=growth.exponent,
        exponent_ci95=growth.exponent_ci95,
        residual=growth.residual,
        verdict=verdict,
        why=why,
    )


COPY, PEAK = 11.2e9, 147.3e9
"""Bytes and FLOPs per second in ``LIMITS`` at the largest working set."""


@dataclass
class Config:
    """One size of a synthetic kernel, with its cost."""

    text: str
    rows: int
    n: int
    bytes: int
    flops: int


WAVE = "batch=8,channels=256,length=4096,width=2,dilation={},activation=gate,layout=BLD"
KERNELS = [
    (
        "softmax",
        "logit",
        [
            Config("rows=16000,width=256", 16000, 256, 32_768_000, 16_384_000),
            Config("rows=512,width=8192", 512, 8192, 33_554_432, 16_777_216),
        ],
    ),
    (
        "log_softmax",
        "logit",
        [
            Config("rows=16000,width=256", 16000, 256, 32_768_000, 20_480_000),
            Config("rows=512,width=8192", 512, 8192, 33_554_432, 20_971_520),
        ],
    ),
    (
        "log_prob_from_logits",
        "logit",
        [
            Config("rows=16000,width=256", 16000, 256, 16_512_000, 12_300_000),
        ],
    ),
    ("causal_conv1d", "audio sample", [Config(WAVE.format(d), 8, 4096, 101_187_584, 4_311_744_512) for d in (1, 512)]),
    (
        "logistic_mixture_log_prob",
        "sub-pixel",
        [
            Config("batch=64,side=32,mixtures=10", 64, 3072, 27_000_000, 63_000_000),
        ],
    ),
]
NATIVE = {
    ("torch", "eager"): 0.16,
    ("torch", "compile"): 0.52,
    ("arbench", "numba"): 0.71,
}
"""Fraction of the limit that each implementation reaches."""


def kernel_lines(rng: np.random.Generator, kernels=KERNELS, workers: int = 6) -> Iterator[Line]:
    """Yield the lines of each kernel, forward and backward: CPU implementations timed, Triton checked."""
    for kernel, element, configs in kernels:
        for config in configs:
            for op in ("forward", "backward"):
                yield from _group(rng, kernel, element, config, op, workers)


def _group(rng, kernel: str, element: str, config: Config, op: str, workers: int) -> Iterator[Line]:
    cost = 1 if op == "forward" else 1.5
    moved, done = int(config.bytes * cost), int(config.flops * cost)
    limit = max(moved / COPY, done / PEAK)
    timed = {}
    for (method, backend), fraction in NATIVE.items():
        if (backend, op) == ("numba", "backward"):
            continue
        bias = {w: float(np.exp(rng.normal(0, 0.02))) for w in range(workers)}
        timed[method, backend] = {w: limit / fraction * bias[w] for w in range(workers)}
    names = {who: f"{kernel}:{config.text}/{op}/{'/'.join(who)}" for who in [*timed, ("arbench", "triton")]}
    for (method, backend), name in names.items():
        samples = timed.get((method, backend))
        summary = summarise({w: [s] for w, s in samples.items()}) if samples else None
        yield Count(name, None, None, done, None, moved, None, "formula")
        yield from (Samples(name, w, 0, 1.7e9, [s]) for w, s in (samples or {}).items())
        yield Case(
            id=name,
            model=kernel,
            preset=config.text,
            op=op,
            method=method,
            backend=backend,
            device="cpu",
            dtype="float32",
            batch=config.rows,
            n=config.n,
            element=element,
            weights=0,
            status="ok" if summary else "checked",
            exactness="pointwise",
            flops=done,
            bytes=moved,
            count_source="formula",
            median_s=summary.median_s if summary else None,
            ci95_s=summary.ci95_s if summary else None,
            range_s=summary.range_s if summary else None,
            workers=workers if summary else 0,
            samples=workers if summary else 0,
            stopped_by="target" if summary else None,
        )
    reference = timed["torch", "eager"]
    for who, samples in timed.items():
        if who != ("torch", "eager"):
            pairs = ({(w, 0): s for w, s in one.items()} for one in (samples, reference))
            found = ratio(*pairs)
            yield Ratio(names[who], names["torch", "eager"], found.ratio, found.ci95, found.range, found.workers)


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return write(tmp_path_factory.mktemp("run") / "results.jsonl")


@pytest.fixture(scope="session")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A run of kernels alone."""
    return write(tmp_path_factory.mktemp("kernels") / "results.jsonl", models=[], kernels=KERNELS)


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A file with models and kernels."""
    return write(tmp_path_factory.mktemp("both") / "results.jsonl", models=MODELS[:1], kernels=KERNELS[:2])


@pytest.fixture(scope="session")
def drawings(results: Results) -> dict[str, Drawing]:
    """The figures of ``results`` by name; each is rendered at most once in a session."""
    return {one.name: one for one in draw(results)}


@pytest.fixture(scope="session")
def rendered_both(both: Results, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The report of ``both``."""
    return render(both, tmp_path_factory.mktemp("rendered_both"))


@pytest.fixture
def models():
    """The models of the synthetic results."""
    return MODELS


@pytest.fixture
def kernel_table():
    """The kernels of the synthetic results."""
    return KERNELS


@pytest.fixture
def build(tmp_path: Path):
    """`write` into a fresh file, with the same keyword arguments; the next call replaces it."""

    def built(**changes):
        (tmp_path / "results.jsonl").unlink(missing_ok=True)
        return write(tmp_path / "results.jsonl", **changes)

    return built
