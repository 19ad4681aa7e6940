"""Tests of the teacher of Parallel NMT: one alphabet, one embedding."""

from __future__ import annotations

import pytest
import torch

from arbench.methods import Task, methods_for
from arbench.models import ModelError, Source, resolve


def score(model: Source, x: torch.Tensor, context: object) -> torch.Tensor:
    parallel = next(m for m in methods_for(model) if m.name == "parallel")
    with torch.no_grad():
        found = parallel.run(model, Task(x.shape[1], context, x=x)).log_prob  # type: ignore[arg-type]
    assert found is not None
    return found


def test_source_and_target_share_their_embedding() -> None:
    model = resolve("nmt_teacher:tiny").build()
    assert [name for name, _ in model.named_parameters() if "embedding" in name] == ["embedding"]
    context = {"source": torch.tensor([[1, 3, 1, 0]])}
    before = model.encode(context, 4).memories[0].keys
    for symbol in range(4):
        other = resolve("nmt_teacher:tiny").build()
        with torch.no_grad():
            other.embedding[symbol] += 1
        changed = not torch.equal(other.encode(context, 4).memories[0].keys, before)
        assert changed == (symbol in (0, 1, 3))


def test_translations_lie_beside_their_sources() -> None:
    model = resolve("nmt_teacher:small").build()
    x, context = model.observe(64, [0, 1], seed=0)
    assert x.shape == context["source"].shape == (2, 64)
    assert ((x != 0).sum(1) > 0).all()
    assert model.alphabets == {"source": 256}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("levels=5", "got 5 and source_levels 4"),
        ("levels=2,source_levels=2", "got 2 and source_levels 2"),
    ],
)
def test_there_is_one_alphabet(settings: str, message: str) -> None:
    with pytest.raises(ModelError, match=f"': sentences and .* have one alphabet of 3 levels or more; {message}$"):
        resolve(f"nmt_teacher:tiny,{settings}").build()


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "millions"), [("base", 44.3), ("released", 25.4), ("iwslt", 7.6)])
def test_published_presets(preset: str, millions: float) -> None:
    model = resolve(f"nmt_teacher:{preset}").build()
    assert model.weights(48) / 1e6 == pytest.approx(millions, abs=0.05)
    x, context = model.observe(48, [0, 1], seed=0)
    assert (score(model, x, context) < 0).all()
    noise = model.distribution.noise(0, [0, 1], range(6))
    for name in ("naive", "cached"):
        method = next(m for m in methods_for(model) if m.name == name)
        with torch.no_grad():
            drawn = method.run(model, Task(6, {"source": context["source"][:, :6]}, noise=noise)).x
        assert drawn.shape == (2, 6)


@pytest.mark.slow
def test_the_published_size_of_transformer_base() -> None:
    """Table 3 of Vaswani et al. gives 65 million parameters for about 37,000 shared symbols."""
    model = resolve("nmt_teacher:base").build()
    assert model.weights(8) + (37_000 - 256) * 512 == pytest.approx(65e6, rel=0.035)
