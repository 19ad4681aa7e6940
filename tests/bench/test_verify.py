"""Verification catches planted faults on every preset and dtype, and passes what is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from arbench.bench.case import CaseKey
from arbench.bench.plan import Options, make_plan
from arbench.bench.settings import Setting
from arbench.bench.verify import InexactError, verify_case, verify_model
from arbench.models import dilated, names, pixelcnn, resolve

PRESETS = [f"{name}:{preset}" for name in names() for preset in resolve(name).cls.presets]
SLOW = {"wavenet:paper"}
DTYPES = ("float32", "float64", "bfloat16", "float16")
STEPPED = {"x": ("sample", "cached"), "z": ("score", "inversion")}
"""The method whose steps the faults are planted in, by what a model reads."""


def marked(spec: str) -> object:
    return pytest.param(spec, marks=pytest.mark.slow) if spec in SLOW else spec


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


def second(spec: str, dtype: str) -> tuple[Setting, CaseKey]:
    """A preset's stepped case at the second size of its ladder."""
    chosen = resolve(spec)
    op, method = STEPPED[chosen.cls.feeds]
    cases = make_plan(Options(models=[spec], ops=[op], methods=[method], dtype=dtype)).cases
    return Setting(spec, dtype, "cpu", seed=0), cases[1]


def verify(spec: str, dtype: str, plant: Callable[[], None] = lambda: None) -> None:
    setting, case = second(spec, dtype)
    source = setting.build()
    twin = setting.twin(source)
    plant()
    verify_case(setting, source, twin, case)
    verify_model(setting, source, twin, case)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spec", [marked(spec) for spec in PRESETS])
def test_what_is_right_passes(spec: str, dtype: str) -> None:
    verify(spec, dtype)


def wrong_dilation(monkeypatch: pytest.MonkeyPatch) -> None:
    step = dilated.DilatedStack._step

    def off(self, state, x, affine):
        right = self.dilations
        self.dilations = [d // 2 if d == 4 or d == max(right) < 4 else d for d in right]
        try:
            return step(self, state, x, affine)
        finally:
            self.dilations = right

    monkeypatch.setattr(dilated.DilatedStack, "_step", off)


class Young(list):
    def __getitem__(self, i):
        return super().__getitem__((i + 1) % len(self) if isinstance(i, int) else i)


def shifted_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    start = dilated.DilatedStack.start

    def off(self, batch):
        state = start(self, batch)
        state.rings = [Young(ring) for ring in state.rings]
        return state

    monkeypatch.setattr(dilated.DilatedStack, "start", off)


def dropped_conditioning(monkeypatch: pytest.MonkeyPatch) -> None:
    step = dilated.DilatedStack._step

    def off(self, state, x, affine):
        layers, width = self.gate_bias.shape
        bias = self.gate_bias.view(layers, 1, 1, width)
        return step(self, state, x, dilated.Affine(bias, None))

    monkeypatch.setattr(dilated.DilatedStack, "_step", off)


def leak(monkeypatch: pytest.MonkeyPatch) -> None:
    pad = dilated.pad

    def leaky(x, widths):
        *rest, left, right = widths
        return pad(x, (*rest, left - 1, right + 1)) if left else pad(x, widths)

    monkeypatch.setattr(dilated, "pad", leaky)


def stale_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A PixelCNN whose rows read the line above where their own begins."""
    row = pixelcnn.PixelCNN._next_row

    def off(self, state):
        old = state.lines
        row(self, state)
        if old:
            for line, before in zip(state.lines, old, strict=True):
                line[:, :1] = before[:, -1:]

    monkeypatch.setattr(pixelcnn.PixelCNN, "_next_row", off)


def dropped_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A PixelCNN whose vertical stack forgets all rows but the last."""
    row = pixelcnn.PixelCNN._next_row

    def off(self, state):
        for rows in state.rows:
            for i in range(len(rows)):
                rows[i] = torch.zeros_like(rows[i])
        row(self, state)

    monkeypatch.setattr(pixelcnn.PixelCNN, "_next_row", off)


def own_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = pixelcnn.group_mask
    monkeypatch.setattr(pixelcnn, "group_mask", lambda a, b, strict: mask(a, b, strict=False))


WAVES = [spec for spec in PRESETS if "wavenet" in spec]
PIXELS = [spec for spec in PRESETS if "pixelcnn" in spec]
CONDITIONED = [spec for spec in WAVES if resolve(spec).config.get("local")]
BEFORE_BUILDING = (leak, own_colour)
FAULTS = [
    *((fault, spec) for fault in (wrong_dilation, shifted_cache, leak) for spec in WAVES),
    *((dropped_conditioning, spec) for spec in CONDITIONED),
    *((fault, spec) for fault in (stale_line, dropped_rows, own_colour) for spec in PIXELS),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("fault", "spec"),
    [pytest.param(f, s, marks=pytest.mark.slow if s in SLOW else ()) for f, s in FAULTS],
    ids=lambda p: getattr(p, "__name__", p),
)
def test_planted_faults_are_caught(
    fault: Callable[[pytest.MonkeyPatch], None], spec: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault in BEFORE_BUILDING:
        fault(monkeypatch)
    with pytest.raises(InexactError):
        verify(spec, dtype, lambda: fault(monkeypatch) if fault not in BEFORE_BUILDING else None)


def test_ignored_conditioning_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropped in forward and steps alike, so that they agree."""
    monkeypatch.setattr(
        dilated.DilatedStack,
        "encode",
        lambda self, context: dilated.Affine(self.gate_bias.view(*self.gate_bias.shape[:1], 1, 1, -1), None),
    )
    with pytest.raises(InexactError, match="ignores its conditioning"):
        verify("wavenet:tiny", "float32")
