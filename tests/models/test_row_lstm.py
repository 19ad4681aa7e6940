"""Tests of the Row LSTM: a row at once, from all of the row above."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv1d, conv2d

from arbench.meters import count
from arbench.methods import Task, methods_for
from arbench.models import ModelError, Source, resolve
from arbench.models.row_lstm import RowLSTM


@pytest.fixture(autouse=True)
def no_grad() -> object:
    with torch.no_grad():
        yield


def as_kernel(weight: Tensor, taps: int) -> Tensor:
    """Reshape a product over ``taps`` side by side, (taps in, out), to a kernel (out, in, taps)."""
    return weight.view(taps, -1, weight.shape[1]).permute(2, 1, 0)


def by_hand(model: RowLSTM, x: Tensor) -> Tensor:
    """Return the logits (B, N, levels) from PyTorch's own convolutions, channels first, row by row."""
    side, c, k = model.side(x.shape[1]), model.colours, model.kernel
    picture = model._scaled(x).view(-1, side, side, c).permute(0, 3, 1, 2)
    # the masked half of the first kernel is zero: rows below, and columns right of the centre
    seen = as_kernel(model.first.weight, model.reach * k + model.reach + 1)
    kernel = seen.new_zeros(len(seen[:, 0]), c, k * k)
    kernel[:, :, : seen.shape[2]] = seen
    f = conv2d(picture, kernel.view(-1, c, k, k), model.first.bias, padding=model.reach)
    for layer in model._layers():
        into, over = as_kernel(layer.inputs.weight, 2), as_kernel(layer.above.weight, 3)
        into = torch.cat([into, torch.zeros_like(into[:, :, :1])], dim=-1)
        h = cell = f.new_zeros(len(x), layer.width, side)
        rows = []
        for r in range(side):
            a = conv1d(f[:, :, r], into, layer.inputs.bias, padding=1)
            o, forget, i, g = (a + conv1d(h, over, layer.above.bias, padding=1)).chunk(4, dim=1)
            cell = forget.sigmoid() * cell + i.sigmoid() * g.tanh()
            h = o.sigmoid() * cell.tanh()
            rows.append(h)
        up = as_kernel(layer.outputs.weight, 1).unsqueeze(-1)
        f = f + conv2d(torch.stack(rows, dim=2), up, layer.outputs.bias)
    for product in (model.hidden, model.params):
        f = conv2d(f.relu(), as_kernel(product.weight, 1).unsqueeze(-1), product.bias)
    return f.permute(0, 2, 3, 1).reshape(len(x), -1, model.levels)


@pytest.mark.parametrize(("spec", "n"), [("tiny", 75), ("digits", 49), ("mnist", 64)])
def test_logits_are_those_of_plain_convolutions(spec: str, n: int) -> None:
    model = resolve(f"row_lstm:{spec}").build(dtype=torch.float64)
    x, _ = model.observe(n, [0, 1], seed=0)
    assert torch.allclose(model(x, {}), by_hand(model, x), rtol=0, atol=1e-11)


@pytest.mark.parametrize("spec", ["digits", "mnist"])
def test_steps_of_grey_pictures_agree(spec: str) -> None:
    """Steps agree over enough rows for the first convolution's window to move down."""
    model = resolve(f"row_lstm:{spec}").build(dtype=torch.float64)
    x, _ = model.observe(64, [0, 1], seed=0)
    found, _ = model.extend(model.start(2, 64, {}), x, 0, 64)
    assert torch.allclose(found, model(x, {}), rtol=0, atol=1e-10)


def influence(model: Source, n: int, on: int) -> list[bool]:
    """Return, for each element, whether the parameters of element ``on`` depend on it."""
    x = model.observe(n, [0], seed=0)[0]
    before, seen = model(x, {})[0, on], []
    for j in range(n):
        other = x.clone()
        other[0, j] = (other[0, j] + 1) % model.distribution.levels
        seen.append(not torch.equal(model(other, {})[0, on], before))
    return seen


def test_a_pixel_sees_a_triangle_that_widens_by_a_column_a_row() -> None:
    """One layer sees row r - k up to k columns to the right, plus the first kernel's reach."""
    model = RowLSTM(layers=1, width=12, head=12, colours=1, levels=2, kernel=3, seed=0).double()
    model.requires_grad_(False)
    side, row, column = 9, 6, 2
    seen = influence(model, side * side, row * side + column)
    for r in range(side):
        for c in range(side):
            k, distance = row - r, c - column
            expected = (k == 0 and -2 <= distance < 0) or (k > 0 and -k - 2 <= distance <= k)
            assert seen[r * side + c] == expected, (r, c)


def test_scoring_takes_the_same_number_of_links_a_row() -> None:
    model = resolve("row_lstm:tiny").build()
    depths = []
    for side in (2, 4, 6, 8):
        x = model.observe(3 * side * side, [0], seed=0)[0]
        depths.append(count(lambda x=x: model(x, {})).depth)
    assert len({b - a for a, b in pairwise(depths)}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("preset", [p for p in RowLSTM.presets if not p.startswith("tiny")])
def test_published_presets_score_and_sample(preset: str) -> None:
    model = resolve(f"row_lstm:{preset}").build()
    n = model.ladder[0]
    x, context = model.observe(n, [0], seed=0)
    noise = model.distribution.noise(0, [0], range(n), torch.float32)
    found = {
        m.name: m.run(model, Task(n, context, x=x, noise=noise))
        for m in methods_for(model)
        if m.name in ("parallel", "sequential", "cached")
    }
    assert (found["parallel"].log_prob < 0).all()
    assert torch.allclose(found["sequential"].log_prob, found["parallel"].log_prob, rtol=0, atol=1e-3)
    assert found["cached"].x.shape == (1, n)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("kernel=4", "kernel must be odd, got 4"),
        ("levels=0", "levels must be at least 1, got 0"),
    ],
)
def test_misuse_is_one_line(setting: str, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        resolve(f"row_lstm:tiny,{setting}").build()
    assert str(caught.value) == f"model 'row_lstm:tiny,{setting}': {said}"
