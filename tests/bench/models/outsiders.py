"""Samplers of a bigram by their users: right ones, and one for each way to be wrong."""

import sys
from dataclasses import replace

import numpy as np
import torch

from arbench.methods import Method, Outcome

BUFFERS = {}


def right(model, noise):
    """Draw symbol by symbol."""
    logits, z = (model.embedding @ model.out).numpy(), noise.numpy()
    x = np.zeros(z.shape[:2], np.int64)
    for row, one in enumerate(z):
        before = 0
        for i, value in enumerate(one):
            x[row, i] = np.argmax(logits[before] + value)
            before = x[row, i] + 1
    return x


def narrow(model, noise):
    return right(model, noise).astype(np.uint8)


def flipped(model, noise):  # a view with negative strides
    return np.ascontiguousarray(right(model, noise)[:, ::-1])[:, ::-1]


def frozen(model, noise):
    x = right(model, noise)
    x.flags.writeable = False
    return x


def aliased(model, noise):
    x = right(model, noise)
    kept = BUFFERS.setdefault(x.shape, np.empty_like(x))
    kept[:] = x
    return kept


def printing(model, noise):
    print("a line")
    return right(model, noise)


def planted(model, noise):
    x = right(model, noise)
    x[0, 7] = (x[0, 7] + 1) % 16
    return x


def rarely(model, noise):  # wrong in one of some thousand elements
    x = right(model, noise)
    x[noise.numpy().max(-1) > 9] = 0
    return x


def whole(source, task):  # records other parameters than it drew from
    x = torch.from_numpy(right(source, task.noise))
    params = torch.zeros(*x.shape, 16)
    return Outcome(x, x, params)


def one_row(source, task):
    x = torch.from_numpy(right(source, task.noise))
    return Outcome(x, x, torch.zeros(*x.shape, 15))


def silent(source, task):
    x = torch.from_numpy(right(source, task.noise))
    return Outcome(x, x)


def bare(source, task):
    return torch.from_numpy(right(source, task.noise))


def raising(model, noise):
    raise ValueError("no\nway")


def leaving(model, noise):
    sys.exit(3)


def short(model, noise):
    return right(model, noise)[:, :-1]


def floats(model, noise):
    return right(model, noise).astype(np.float32)


def undefined(model, noise):
    return np.full(noise.shape[:2], np.nan)


def beyond(model, noise):
    x = right(model, noise)
    x[0, 3] = 16
    return x


def negative(model, noise):
    return right(model, noise) - 16


def nothing(model, noise):
    return None


def objects(model, noise):
    return right(model, noise).astype(object)


def over_noise(model, noise):
    x = right(model, noise)
    noise.numpy()[:] = 0
    return x


def over_weights(model, noise):
    x = right(model, noise)
    model.out.numpy()[0, 0] += 1
    return x


def over_a_weight(model, noise):
    x = right(model, noise)
    model.out = torch.nn.Parameter(model.out + 1, requires_grad=False)
    return x


def _passing(chunk, pass_on):
    def run(source, task):
        noise = task.noise if task.fresh is None else task.fresh.make(range(task.n))
        x = torch.from_numpy(right(source, noise))
        pass_on(x, task.made)
        params = (source.embedding @ source.out)[torch.nn.functional.pad(x[:, :-1] + 1, (1, 0))]
        return Outcome(x, x, params if task.record else None)

    return Method("chunks", "sample", "x", run, "", chunk=chunk)


def _all(x, made):
    buffer = torch.empty(len(x), 24, dtype=x.dtype)
    for at in range(0, x.shape[1], 24):
        size = min(24, x.shape[1] - at)
        buffer[:, :size] = x[:, at : at + size]
        made(buffer[:, :size])


chunks = _passing(24, _all)
small_chunks = _passing(32, _all)
no_chunks = _passing(24, lambda x, made: None)
stale_chunks = _passing(24, lambda x, made: _all(x.roll(1, 1), made))


def _stating(**numbers):
    return Method("stating", "sample", "x", lambda source, task: replace(chunks.run(source, task), **numbers), "")


stated = _stating(step_bytes=8, exchanges=0)
wide_steps = _stating(step_bytes="a")
no_steps = _stating(step_bytes=0)
less_than_no_exchanges = _stating(step_bytes=8, exchanges=-1)
