"""The package's own loops as methods: ``generate``, and ``generate`` with an assistant.

A processor of logits adds the noise of each element to its logits. So the greedy choice of the package is the draw of
``Categorical``, and what is generated can be held against any other sampler's draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from arbench.adapters.hf.exact import at_least
from arbench.adapters.hf.package import transformers
from arbench.methods import Method, Outcome, Task
from arbench.models import Claim, Source

MOST_AHEAD = 1024
"""Largest number of tokens that an assistant may guess at once."""


class _Noise:
    """Processor of logits that adds the noise of the element that they are for, made before or when it is needed.

    Args:
        task: the task.
        before: number of tokens that precede the first element.
    """

    def __init__(self, task: Task, before: int) -> None:
        self._task, self._before = task, before
        self.kept: dict[int, Tensor] = {}
        """Logits (B, V) of elements, where they are recorded: the last that were computed."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return logits plus noise."""
        at, task = input_ids.shape[1] - self._before, self._task
        if task.record:
            self.kept[at] = scores.clone()
        if task.fresh is not None:
            return scores + task.fresh.make(range(at, at + 1))[:, 0]
        assert task.noise is not None
        return scores + task.noise[:, at]


class _Streamer:
    """Receiver of tokens as soon as they are chosen; the first that it gets is the prompt."""

    def __init__(self, task: Task) -> None:
        self._made, self._prompt = task.made, True
        self.sizes: list[int] = []
        """Numbers of tokens that came at once."""

    def put(self, value: Tensor) -> None:
        """Take tokens: the prompt (B, P), one of each event (B,), or some of one event (1, M)."""
        if self._prompt:
            self._prompt = False
            return
        value = value.unsqueeze(1) if value.dim() == 1 else value
        self.sizes.append(value.shape[1])
        self._made(value)

    def end(self) -> None:
        """Take the end."""


@contextmanager
def _counted(network: Any) -> Iterator[list[int]]:
    """Count the evaluations of a network within the context."""
    calls = [0]

    def called(*_: Any) -> None:
        calls[0] += 1

    handle = network.register_forward_pre_hook(called)
    try:
        yield calls
    finally:
        handle.remove()


def _generated(source: Any, task: Task, streamer: _Streamer | None = None, **options: Any) -> Outcome:
    """Call the package's ``generate``, greedily, under the task's noise."""
    network, code = source.network, source.encode(task.context, task.n)
    device = next(network.parameters()).device
    prompt = source.before(task.batch, code, device)
    before = prompt.shape[1]
    noise = _Noise(task, before)
    if task.given is not None:
        prompt = torch.cat([prompt, task.given.to(device)], dim=1)
    known = prompt.shape[1] - before
    if known == task.n:
        x = prompt[:, before:]
        return Outcome(x, x, source(x, code) if task.record else None)
    config = transformers().GenerationConfig(
        max_new_tokens=task.n - known,
        do_sample=False,
        pad_token_id=0,
        cache_implementation="static" if source.kind == "static" and source.past is not None else None,
        disable_compile=True,
    )
    package = transformers()
    with at_least(source.dtype), _counted(network) as calls:
        found = network.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            generation_config=config,
            logits_processor=package.LogitsProcessorList([noise]),
            streamer=streamer,
            **options,
        )
    x = found[:, before:]
    return Outcome(x, x, _recorded(source, x, code, noise, known) if task.record else None, evaluations=calls[0])


def _recorded(source: Any, x: Tensor, code: Tensor | None, noise: _Noise, known: int) -> Tensor:
    """Return the logits (B, N, V) that elements were drawn from; those of given elements are of one more pass."""
    drawn = torch.stack([noise.kept[at] for at in range(known, x.shape[1])], dim=1)
    return torch.cat([source(x, code)[:, :known], drawn], dim=1) if known else drawn


def generate(source: Any, task: Task) -> Outcome:
    """Draw by the package's own loop, all events of the batch at once."""
    return _generated(source, task)


def streamed(source: Any, task: Task) -> Outcome:
    """Draw by the package's own loop, and pass each token to ``task.made`` as its streamer gets it."""
    return _generated(source, task, _Streamer(task))


def assisted(source: Any, task: Task, ahead: int | None = None) -> Outcome:
    """Draw by the package's assisted generation, event by event: it takes one at a time.

    The draft is the assistant. Both add the noise of an element to their logits, so a guess is kept where both draw the
    same token, and the method is pointwise exact.
    """
    draft: Any = source.draft
    parts: list[Outcome] = []
    for row in range(task.batch):
        one = replace(
            task,
            context={name: value[row : row + 1] for name, value in task.context.items()},
            noise=None if task.noise is None else task.noise[row : row + 1],
            fresh=None if task.fresh is None else replace(task.fresh, rows=task.fresh.rows[row : row + 1]),
            given=None if task.given is None else task.given[row : row + 1],
            made=lambda _: None,
        )
        settings: dict[str, Any] = {}  # by default the package guesses up to 20, and stops where the draft is unsure
        if ahead is not None:
            settings = {"num_assistant_tokens": ahead, "assistant_confidence_threshold": 0.0}
        draft.network.generation_config = transformers().GenerationConfig(**settings)  # the package tunes it in a call
        streamer = _Streamer(one)
        outcome = _generated(source, one, streamer, assistant_model=draft.network)
        parts.append(replace(outcome, accepted=streamer.sizes))
    x = torch.cat([part.x for part in parts])
    params = torch.cat([part.params for part in parts if part.params is not None]) if task.record else None
    return Outcome(
        x,
        x,
        params,
        accepted=[size for part in parts for size in part.accepted],
        evaluations=sum(part.evaluations or 0 for part in parts),
    )


def _streaming(settings: Mapping[str, Any]) -> Method:
    """Return ``generate`` that passes its tokens one by one. Raises ValueError for other settings."""
    unknown = [name for name in settings if name != "chunk"]
    if unknown:
        raise ValueError(f"there is no setting '{unknown[0]}'; it has chunk, and backend")
    if settings["chunk"] != 1:
        raise ValueError(f"chunk is 1, since its streamer gets tokens one by one; got {settings['chunk']!r:.40}")
    return replace(GENERATE, run=streamed, chunk=1)


def _guessing(settings: Mapping[str, Any]) -> Method:
    """Return ``assisted`` with another number of guesses. Raises ValueError for other settings."""
    unknown = [name for name in settings if name != "ahead"]
    if unknown:
        raise ValueError(f"there is no setting '{unknown[0]}'; it has ahead, and backend")
    ahead = settings["ahead"]
    if type(ahead) is not int or not 1 <= ahead <= MOST_AHEAD:
        raise ValueError(f"ahead must be a number of tokens from 1 to {MOST_AHEAD:,}, got {ahead!r:.40}")
    return replace(ASSISTED, run=partial(assisted, ahead=ahead))


def _no_draft(source: Source | type[Source]) -> str | None:
    if isinstance(source, type):
        return None
    if source.draft is None:
        return "needs a draft, and this model has none"
    if not getattr(source, "croppable", False):
        return "needs a cache that can be cut back, and this model's forgets: it is recurrent, or has a window"
    return None


GENERATE = Method(
    "generate",
    "sample",
    "x",
    generate,
    "the package's own generate, whose greedy choice is of logits plus noise: chunk=1 for its streamer",
    like="cached",
    configure=_streaming,
    settings=("chunk",),
)
ASSISTED = Method(
    "assisted",
    "sample",
    "x",
    assisted,
    "the package's assisted generation, event by event: a smaller draft guesses under the same noise",
    data_dependent=True,
    returning=True,
    lacks=_no_draft,
    claim=Claim("<= N", "<= N^2"),
    configure=_guessing,
    settings=("ahead",),
)
