"""Lines of what a file says of its run: how it measures, which models there are, and seals of what was written."""

from __future__ import annotations

from typing import Any

import msgspec

from arbench.results.ranges import Natural, Number, Size
from arbench.results.schema.line import Line


class Run(Line, tag="run", omit_defaults=True):
    """First line: where and how the run measures, and its plan."""

    schema: int
    """Version of this format."""
    run_id: str
    """Name of the run."""
    started_at: str
    """ISO 8601 time."""
    argv: list[str]
    """The command line."""
    seed: int
    """Seed of weights, noise, data and order."""
    git: str | None
    """12 digits of the commit of the measured repository, with '+' where its files were changed."""
    plan: dict[str, Any]
    """``options`` (models, ops, methods, sizes, rounds, budget, ...) and ``cases``; equal for a resumed run.

    What is read of this and of the other free facts has a type in ``arbench.results.facts``."""
    environment: dict[str, Any]
    """Nested facts about the machine: cpu, gpu, clocks, threads, versions, load."""
    limits: dict[str, Any]
    """``copy`` and ``read``: lists of {bytes, gb_per_s}; ``matmul``: {dtype: gflop_per_s}, with ``tf32`` on a GPU;
    ``timer_s``: seconds that timing adds to a call."""
    committed_at: str | None = None
    """ISO 8601 time of the commit ``git``; None also in files from before this field."""
    sealed: bool = False
    """True if the file gets ``seal`` lines; False in files from before them."""


class Resume(Line, tag="resume"):
    """Start of a process that continues a killed run."""

    run_id: str
    """That of the run that goes on."""
    started_at: str
    """ISO 8601 time."""
    argv: list[str]
    """The command line."""
    environment: dict[str, Any]
    """As in ``Run``."""
    limits: dict[str, Any]
    """As in ``Run``."""
    changed: list[str]
    """Dotted names of the environment's entries that differ from the run's."""


class Decoded(msgspec.Struct, forbid_unknown_fields=True):
    """Translations of held-out sentence pairs by a model, beside their references."""

    decoding: str
    """How the translations were found, such as "greedy"."""
    pairs: Size
    """Number of pairs."""
    equal: Natural
    """Pairs whose translation is the reference, symbol by symbol."""

    def __post_init__(self) -> None:
        """Raise ValueError, which the reader of a file reports, if more translations are equal than there are."""
        if self.equal > self.pairs:
            raise ValueError(f"{self.equal} of {self.pairs} pairs")

    @property
    def differing(self) -> float:
        """Percentage of the translations that differ from their reference."""
        return 100 * (self.pairs - self.equal) / self.pairs


class Trained(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Facts about a model's trained weights, from the checkpoint itself."""

    data: str
    """Name of the data that the model was trained on."""
    bits: Number
    """Cost of an element, on average."""
    unit: str
    """Unit of ``bits``, such as "bits per audio sample"."""
    held_out: bool
    """True if the model was trained on none of the elements that ``bits`` is the average of."""
    seed: Natural
    """Seed of the training."""
    steps: Natural
    """Steps of the optimiser."""
    sha256: str
    """Digest of the checkpoint's file, in hexadecimal digits."""
    draft: str | None = None
    """The same of the draft's checkpoint; None if there is no draft, or its weights are random."""
    data_sha256: str | None = None
    """Digest of the data, in hexadecimal digits; bits are compared where it is the same."""
    teacher: str | None = None
    """The model that it was distilled from, such as "wavenet:teacher@speech"; None if it was not."""
    elements: Natural | None = None
    """Number of elements that ``bits`` is the average of; None in files from before this field."""
    translations: list[Decoded] = []
    """By decoding, the one that takes as long as a draw first; empty for other events, and in files from before this
    field."""
    per_symbol: Size = 1
    """Elements of an event for each symbol of its translation: 2 where every symbol of the source has a fertility."""


class Model(Line, tag="model"):
    """Facts about a model that need no measurement; one line for each model, in the order of the taxonomy."""

    model: str
    """Name of the model."""
    preset: str
    """Its preset, with its settings and the name of its weights."""
    family: str
    """Its row of the taxonomy, in words; empty if it states none."""
    element: str
    """Kind of element: audio sample, sub-pixel, pixel, token."""
    source: str = ""
    """The publication that describes it."""
    remark: str = ""
    """A caveat for readers who compare its figures."""
    trained: Trained | None = None
    """Its trained weights; None for others, and in files from before this field."""
    brings_weights: bool = False
    """True if weights come with the model, and nothing says whether they are trained."""


class Limits(Line, tag="limits"):
    """Limits of the machine, measured again because a row exceeded the earlier ones."""

    measured_at: str
    """ISO 8601 time."""
    limits: dict[str, Any]
    """As in ``Run``."""


class Seal(Line, tag="seal", omit_defaults=True):
    """Digest of everything before this line: it shows damage, not forgery, since anyone can compute it again."""

    lines: Natural
    """Number of lines before this one."""
    sha256: str
    """SHA-256 of these lines, each with its newline, in hexadecimal digits."""
    end: bool = False
    """True for the end of the run, False for that of a round."""
    unsealed: Natural = 0
    """Number of lines before this one that no seal covered when the run was continued: they may have changed before."""
