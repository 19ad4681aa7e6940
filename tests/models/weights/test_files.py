"""Tests of weights files: a round trip through safetensors, and refusal of everything else."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from arbench.models import WeightsError, load, names, resolve, save
from arbench.models.layers.masked import Masked

TINY = [f"{name}:{p}" for name in names() for p in resolve(name).cls.presets if p.startswith("tiny")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "w.safetensors"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the file of each tiny preset's weights."""
    folder = tmp_path_factory.mktemp("saved")
    files = {spec: folder / f"{spec.replace(':', '-')}.safetensors" for spec in TINY}
    for spec, file in files.items():
        save(resolve(spec).build(), file)
    return files


def refusal(path: Path, model: nn.Module | None = None) -> str:
    """Return the message of a refusal that leaves the model unchanged, by default a WaveNet."""
    model = model or resolve("wavenet:tiny").build()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        load(model, path)  # type: ignore[arg-type]
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("spec", TINY)
def test_round_trip(spec: str, dtype: torch.dtype, path: Path) -> None:
    one, other = resolve(spec).build(1, dtype), resolve(spec).build(2, dtype)
    save(one, path)
    load(other, path)
    for name, value in one.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name
        assert other.state_dict()[name].dtype == dtype


def test_weights_take_the_models_dtype(path: Path) -> None:
    save(resolve("wavenet:tiny").build(1, torch.float64), path)
    model = resolve("wavenet:tiny").build(0, torch.bfloat16)
    load(model, path)
    expected = resolve("wavenet:tiny").build(1, torch.bfloat16)
    assert all(map(torch.equal, model.parameters(), expected.parameters()))


def test_the_file_says_whose_weights_it_holds(path: Path) -> None:
    save(resolve("wavenet:tiny").build(), path)
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"arbench.class": "WaveNet"}


def test_masked_weights_stay_masked(path: Path) -> None:
    """Masked-out weights are zero whatever a file contains."""
    model = resolve("pixelcnn:tiny").build()
    save(model, path)
    save_file({k: torch.ones_like(v) for k, v in load_file(path).items()}, path)
    load(model, path)
    masked = [m for m in model.modules() if isinstance(m, Masked)]
    assert any(not m.mask.all() for m in masked)
    for module in masked:
        assert torch.equal(module.weight, module.mask.float())


@pytest.mark.parametrize("spec", [*TINY, "wavenet:nv"])
def test_weights_of_another_model_are_refused(spec: str, saved: dict[str, Path]) -> None:
    model = resolve(spec).build()
    for other, file in saved.items():
        if other != spec:
            assert "saved from another model or preset: " in refusal(file, model)


def renamed(old: str, new: str, path: Path) -> Path:
    """Save WaveNet's weights with another prefix."""
    found = {new + k.removeprefix(old): v for k, v in resolve("wavenet:tiny").build(3).state_dict().items()}
    save_file(found, path)
    return path


class Holder(nn.Module):
    """A WaveNet that is an attribute of another module."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.net = resolve("wavenet:tiny").build(seed)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.module.", "net.net."])
def test_one_prefix_too_many_is_stripped(prefix: str, path: Path) -> None:
    model = resolve("wavenet:tiny").build(0)
    load(model, renamed("", prefix, path))
    assert all(map(torch.equal, model.parameters(), resolve("wavenet:tiny").build(3).parameters()))


def test_one_prefix_too_few_is_added(path: Path) -> None:
    model = Holder()
    load(model, renamed("", "", path))  # type: ignore[arg-type]
    assert all(map(torch.equal, model.net.parameters(), resolve("wavenet:tiny").build(3).parameters()))


def test_another_prefix_is_named_and_refused(path: Path) -> None:
    said = refusal(renamed("", "module.", path), Holder())
    assert "all names match once the prefix 'module.' is 'net.'; rename the file's tensors" in said


def test_that_no_name_matches_is_said_with_an_example_of_each(path: Path) -> None:
    save_file({f"blocks.{i}.w": torch.zeros(2) for i in range(9)}, path)
    said = refusal(path, Holder())
    first = next(iter(Holder().state_dict()))
    assert said.endswith(
        "none of the file's 9 names matches the model's: the file has 'blocks.0.w', "
        f"this Holder has '{first}'; rename the file's tensors"
    )


def test_a_prefix_does_not_excuse_another_shape(path: Path) -> None:
    found = {f"module.{k}": v for k, v in resolve("wavenet:tiny").build().state_dict().items()}
    found["module.out_bias"] = torch.zeros(3)
    save_file(found, path)
    assert "'out_bias' is (3,) in the file and (4,) in this WaveNet" in refusal(path)


class Tied(nn.Module):
    """An embedding that is the output layer too, as language models have it."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.out = nn.Embedding(5, 3), nn.Linear(3, 5)
        self.out.weight = self.embedding.weight


@pytest.mark.parametrize("without", ["out.weight", "embedding.weight", None])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_weight_of_two_names_is_wanted_once(without: str | None, prefix: str, path: Path) -> None:
    torch.manual_seed(0)
    one, other = Tied(), Tied()
    found = {prefix + k: v.clone() for k, v in one.state_dict().items() if k != without}
    save_file(found, path)
    load(other, path)  # type: ignore[arg-type]
    assert all(map(torch.equal, one.parameters(), other.parameters()))
    assert other.out.weight is other.embedding.weight


def test_a_weight_of_two_names_is_saved_once(path: Path) -> None:
    torch.manual_seed(0)
    one, other = Tied(), Tied()
    save(one, path)  # type: ignore[arg-type]
    load(other, path)  # type: ignore[arg-type]
    assert len(load_file(path)) == 2
    assert all(map(torch.equal, one.parameters(), other.parameters()))


def test_two_values_of_one_weight_are_refused(path: Path) -> None:
    found = {k: v.clone() for k, v in Tied().state_dict().items()}
    found["out.weight"] += 1
    save_file(found, path)
    said = refusal(path, Tied())
    assert "'out.weight' and 'embedding.weight' differ, which are one weight of this Tied" in said


@pytest.mark.parametrize("extra", [True, False])
def test_a_name_too_many_or_too_few_is_refused(extra: bool, path: Path) -> None:
    save(resolve("wavenet:tiny").build(), path)
    found = load_file(path)
    if extra:
        found["more"] = torch.zeros(3)
    else:
        del found["out_bias"]
    save_file(found, path)
    says = (
        "the file has 'more', which this WaveNet lacks"
        if extra
        else "the file lacks 'out_bias', which this WaveNet has"
    )
    assert says in refusal(path)


@pytest.mark.parametrize("keep", [0, 4, 40, -1])
def test_a_truncated_file_is_refused(keep: int, path: Path) -> None:
    save(resolve("wavenet:tiny").build(), path)
    path.write_bytes(path.read_bytes()[:keep])
    assert "not a readable safetensors file" in refusal(path)


def test_what_is_no_safetensors_file_is_refused(path: Path) -> None:
    path.write_text("weights, honestly\n" * 9)
    assert "not a readable safetensors file" in refusal(path)


def test_no_file_and_no_folder(tmp_path: Path) -> None:
    assert "not a readable safetensors file" in refusal(tmp_path / "nowhere.safetensors")
    assert "not a readable safetensors file" in refusal(tmp_path)


def test_a_pipe_is_refused_without_waiting_for_its_other_end(path: Path) -> None:
    os.mkfifo(path)
    what = "not a regular file; save its content to a file, and name that"
    assert refusal(path) == f"weights {path}: not a readable safetensors file ({what})"


@pytest.mark.parametrize(("bad", "shown"), [(float("nan"), "nan"), (float("inf"), "inf"), (float("-inf"), "-inf")])
def test_weights_that_are_not_finite_are_refused_by_their_name(bad: float, shown: str, path: Path) -> None:
    save(resolve("wavenet:tiny").build(), path)
    found = load_file(path)
    found["out_bias"][3] = bad
    save_file(found, path)
    said = refusal(path)
    assert said == f"weights {path}: tensor 'out_bias' is {shown} at [3]; save weights that are finite"
    found["out_bias"][:] = bad
    save_file(found, path)
    more = "and 3 more of its 4 numbers are not finite"
    assert refusal(path) == f"weights {path}: tensor 'out_bias' is {shown} at [0], {more}; save weights that are finite"


def test_weights_that_the_dtype_cannot_hold_are_refused(path: Path) -> None:
    save(resolve("wavenet:tiny").build(), path)
    found = load_file(path)
    found["out_bias"][0] = 7e4
    save_file(found, path)
    resolve("wavenet:tiny").build(weights=path)
    with pytest.raises(WeightsError) as caught:
        resolve("wavenet:tiny").build(weights=path, dtype=torch.float16)
    held = "tensor 'out_bias' is 70000 at [0], and float16 ends at 6.55e+04; choose a wider --dtype"
    assert str(caught.value) == f"weights {path}: {held}"
    save_file({**found, "out_bias": torch.full_like(found["out_bias"], 1e300, dtype=torch.float64)}, path)
    assert "'out_bias' is 1e+300 at [0], and float32 ends at 3.4e+38; choose a wider --dtype" in refusal(path)


def test_infinities_that_the_model_itself_has_are_no_fault(path: Path) -> None:
    model = resolve("wavenet:tiny").build()
    model.register_buffer("mask", torch.full((2, 2), -torch.inf).triu(1))
    save(model, path)
    load(model, path)
    save_file({**load_file(path), "mask": torch.full((2, 2), -torch.inf)}, path)
    assert "tensor 'mask' is -inf at [0, 0], and 2 more of its 4 numbers" in refusal(path, model)


class Trap:
    """An object that leaves a file behind when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("writer", [pickle.dumps, torch.save])
def test_a_pickle_is_refused_and_never_unpickled(writer, path: Path, tmp_path: Path) -> None:
    marker = tmp_path / "sprung"
    if writer is torch.save:
        torch.save(Trap(marker), path)
    else:
        path.write_bytes(pickle.dumps(Trap(marker)))
    assert "not a readable safetensors file" in refusal(path)
    assert not marker.exists()
    pickle.loads(pickle.dumps(Trap(marker)))
    assert marker.exists(), "the trap would have sprung"
