"""arbench sample: files that can be looked at, listened to and read, and refusals before any work."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from arbench.data import NAMED, load_images, mu_law_encode
from arbench.models import resolve
from arbench.models.weights import Data
from arbench.train.digest import digest


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]


def scored(spec: str, x: torch.Tensor, context: Any, seed: int = 0) -> torch.Tensor:
    """Return log P(x) (B,) of a softmax model, from steps in float64."""
    model = resolve(spec).build(seed, torch.float64)
    context = {k: v.double() if v.is_floating_point() else v for k, v in context.items()}
    state = model.start(len(x), x.shape[1], model.encode(context, x.shape[1]))
    found = []
    for g in range(len(model.schedule(x.shape[1])) - 1):
        params, state = model.extend(state, x, g, g + 1)
        found.append(params)
    p = torch.cat(found, 1).exp()
    return (p.gather(-1, x[..., None])[..., 0] / p.sum(-1)).log().sum(1)


def test_pictures_are_what_was_drawn(answer, tmp_path):
    out = tmp_path / "out"
    found = answer("sample", "--model", "pixelcnn:tiny_columns", "--count", 3, "--n", 64, "--seed", 4, "--out", out)
    assert (found.code, found.err) == (0, "")
    assert f"samples: {out}/samples.png (each in {out}/samples.jsonl)\n" in found.out
    assert "the weights are random; " in found.out
    files = {path.name for path in out.iterdir()}
    assert files == {"sample-0.png", "sample-1.png", "sample-2.png", "samples.png", "real.png", "samples.jsonl"}
    drawn = []
    for line in lines_of(out):
        (picture,) = load_images(out / line["file"])
        dots = picture[..., 0].reshape(8, 16, 8, 16)
        assert (dots == dots[:, :1, :, :1]).all()  # a pixel is a square of 16 dots
        drawn.append(np.round(dots[:, 0, :, 0] / 85).astype(int))  # 4 levels
    x = torch.from_numpy(np.stack(drawn)).transpose(1, 2).flatten(1)
    exact = scored("pixelcnn:tiny_columns", x, {}, seed=4)
    for row, (line, nats) in enumerate(zip(lines_of(out), exact.tolist(), strict=True)):
        assert (line["row"], line["seed"], line["method"], line["n"]) == (row, 4, "cached", 64)
        assert (line["weights"], line["held_out"], line["density"], line["why"]) == ("random", True, False, None)
        assert line["log_prob"] == pytest.approx(nats, rel=1e-5)
        assert line["bits_per_element"] == pytest.approx(-nats / 64 / math.log(2), rel=1e-5)
    with Image.open(out / "samples.png") as grid:
        assert grid.size == (2 * 128 + 3 * 16, 2 * 128 + 3 * 16)


def test_sounds_are_what_was_drawn_beside_real_ones_of_the_same_voice(answer, tmp_path):
    out, spec = tmp_path / "out", "wavenet:tiny,levels=16"
    words = ("--model", spec, "--count", 2, "--n", 300, "--method", "cached", "--out", out)
    found = answer("sample", *words)
    assert found.code == 0
    levels_db = [line["level_db"] for line in lines_of(out)]
    assert f"\nlevel {sum(levels_db) / 2:.1f} dBFS, real " in found.out
    model = resolve(spec).build()
    real, context = model.observe(300, range(2), 0, model.divide()[1])
    drawn = []
    for row, line in enumerate(lines_of(out)):
        assert (line["file"], line["real"]) == (f"sample-{row}.wav", f"real-{row}.wav")
        for name, key in (("file", "level_db"), ("real", "real_level_db")):
            assert soundfile.info(out / line[name]).subtype == "PCM_16"
            samples, rate = soundfile.read(out / line[name])
            assert (rate, len(samples)) == (16000, 300)
            assert line[key] == pytest.approx(10 * math.log10((samples**2).mean()), abs=0.1)
            levels = torch.from_numpy(mu_law_encode(samples, 16))
            if name == "real":
                assert torch.equal(levels, real[row])
            else:
                drawn.append(levels)
        assert line["context"] == {"global": int(context["global"][row])}
    exact = scored(spec, torch.stack(drawn), context).tolist()
    assert [line["log_prob"] for line in lines_of(out)] == pytest.approx(exact, rel=1e-5)


def test_texts_are_what_was_drawn(answer, tmp_path):
    out = tmp_path / "out"
    assert answer("sample", "--model", "lstm:tiny", "--count", 2, "--n", 40, "--out", out).code == 0
    texts = [(out / f"sample-{row}.txt").read_text() for row in range(2)]
    x = torch.tensor([[int(one) for one in text.split()] for text in texts])
    assert [line["log_prob"] for line in lines_of(out)] == pytest.approx(scored("lstm:tiny", x, {}).tolist(), rel=1e-5)
    assert {line["remark"] for line in lines_of(out)} == {"symbols by their numbers"}
    assert (out / "real-0.txt").exists()


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.tsv"
    sources = [f"{i:06b}".replace("0", "a").replace("1", "b") for i in range(40)]
    path.write_text("".join(f"{source}\t{'ä' * (i % 4 + 1)}{i}\n" for i, source in enumerate(sources)))
    return path


def test_translations_stand_beside_source_and_reference(answer, pairs, tmp_path):
    out, spec = tmp_path / "out", "seq2seq:tiny,levels=256"
    assert answer("sample", "--model", spec, "--data", pairs, "--out", out).code == 0
    head, *rows = [line.split("\t") for line in (out / "samples.tsv").read_text().splitlines()]
    assert head == ["source", "reference", "translation", "translation_log_prob", "sample", "sample_log_prob"]
    known = [line.split("\t") for line in pairs.read_text().splitlines()]
    assert len(rows) == 4
    assert all(row[:2] in known for row in rows)
    for row, line in zip(rows, lines_of(out), strict=True):
        assert (line["context"], line["file"], line["held_out"]) == ({"source": row[0]}, "samples.tsv", True)
        assert [float(row[3]), float(row[5])] == pytest.approx(
            [line["translation"]["log_prob"], line["log_prob"]], 1e-5
        )


@pytest.mark.parametrize("spec", ["nmt_teacher:tiny", "seq2seq:tiny_gru", "parallel_nmt:tiny"])
def test_the_likeliest_translation_stands_beside_the_draw(answer, pairs, tmp_path, spec):
    out = tmp_path / "out"
    words = ("--model", spec, "--data", pairs, "--count", 3, "--n", 24, "--seed", 2, "--out", out)
    assert answer("sample", *words).code == 0
    head, *rows = [line.split("\t") for line in (out / "samples.tsv").read_text().splitlines()]
    model = resolve(spec).build(2, torch.float64)
    known = tuple(tuple(line.split("\t")) for line in pairs.read_text().splitlines())
    _, context = model.observe(24, range(3), 2, model.divide(known)[1])
    code, n = model.encode(context, 24), model.lengths(24)[1] if spec.startswith("parallel") else 24
    x = torch.zeros(3, 24, dtype=torch.long)
    for bounds in [(0, 24 - n), (24 - n, 24)] if n < 24 else [(i, i + 1) for i in range(24)]:
        x[:, slice(*bounds)] = model(x, code)[:, slice(*bounds)].argmax(-1)
    log_prob = model.distribution.log_prob(model(x, code), x)
    joint = "joint_" if model.intractable else ""
    for i, (row, line) in enumerate(zip(rows, lines_of(out), strict=True)):
        whole = x[i, 24 - n :].tolist()
        wanted = whole[: whole.index(0)] if 0 in whole else whole
        assert row[head.index("translation")] == " ".join(map(str, wanted))
        counted = 24 if model.intractable else min(len(wanted) + 1, 24)
        exact = log_prob[i, :counted].sum().item()
        assert line["translation"]["elements"] == counted
        assert line["translation"][f"{joint}log_prob"] == pytest.approx(exact, rel=1e-5)
        assert line["translation"]["bits_per_element"] == pytest.approx(-exact / counted / math.log(2), rel=1e-5)
        assert float(row[head.index(f"translation_{joint}log_prob")]) == pytest.approx(exact, rel=1e-5)


def test_the_probability_of_a_translation_ends_with_it(answer, pairs, tmp_path):
    """One of 3 symbols is the end, so that most sentences end before their events do."""
    out, spec = tmp_path / "out", "seq2seq:tiny,levels=3"
    words = ("--model", spec, "--data", pairs, "--count", 6, "--n", 12, "--out", out)
    assert answer("sample", *words).code == 0
    _, *rows = [line.split("\t") for line in (out / "samples.tsv").read_text().splitlines()]
    model = resolve(spec).build(0, torch.float64)
    known = tuple(tuple(line.split("\t")) for line in pairs.read_text().splitlines())
    _, context = model.observe(12, range(6), 0, model.divide(known)[1])
    some = 0
    for row, line in enumerate(lines_of(out)):
        symbols = [int(one) for one in rows[row][4].split()]
        whole = [*symbols, 0][:12]
        assert line["elements"] == len(whole)
        own = {"source": context["source"][row : row + 1]}
        assert line["log_prob"] == pytest.approx(scored(spec, torch.tensor([whole]), own).item(), rel=1e-5)
        some += len(whole) < 12
    assert some


def test_what_is_intractable_is_null_with_its_reason(answer, pairs, tmp_path):
    out = tmp_path / "out"
    words = ("--model", "parallel_nmt:tiny", "--data", pairs, "--count", 2, "--n", 20, "--out", out)
    assert answer("sample", *words).code == 0
    for line in lines_of(out):
        assert (line["log_prob"], line["why"]) == (None, "the marginal over the fertilities is intractable")
        assert line["joint_log_prob"] < 0


def test_a_flow_gives_the_density_of_its_own_draw(answer, tmp_path):
    out, spec, n = tmp_path / "out", "parallel_wavenet:tiny,local=0", 12
    words = ("--model", spec, "--count", 1, "--n", n, "--dtype", "float64", "--out", out)
    assert answer("sample", *words).code == 0
    model = resolve(spec).build(0, torch.float64)
    z = model.distribution.noise(0, [0], range(n))

    code, u = model.encode({}, n), z[0, :, 0]

    def drawn(u: torch.Tensor) -> torch.Tensor:
        return model.distribution.draw(model(u[None], code), u[None, :, None])[0]

    slopes = torch.autograd.functional.jacobian(drawn, u)
    exact = float((-u - 2 * torch.log1p(torch.exp(-u))).sum() - torch.linalg.slogdet(slopes).logabsdet)
    (line,) = lines_of(out)
    assert line["method"] == "parallel"
    assert line["density"]
    assert line["log_prob"] == pytest.approx(exact, rel=1e-9)
    bits = -(exact / n + math.log(2.0**-15)) / math.log(2)
    assert (line["bits_per_element"], line["cell"]) == (pytest.approx(bits), 2.0**-15)


def test_trained_weights_are_those_of_the_checkpoint(answer, trained, tmp_path):
    file = trained("lstm:tiny", tmp_path / "mine" / "model.safetensors", seed=7, data=Data("manual", "0" * 64))
    for name, words in (("a", ("--checkpoint", file)), ("b", ("--model", f"lstm@{file}"))):
        found = answer("sample", *words, "--count", 2, "--n", 16, "--out", tmp_path / name)
        assert found.code == 0, found.err
        assert found.err.startswith("arbench: the weights were trained on other data (manual); ")
        assert found.err.count("\n") == 1
        assert "random" not in found.out
    assert (tmp_path / "a" / "samples.jsonl").read_text() == (tmp_path / "b" / "samples.jsonl").read_text()
    (line, _) = lines_of(tmp_path / "a")
    assert line["weights"].startswith("mine-")
    assert line["held_out"] is False
    x = torch.tensor([[int(one) for one in (tmp_path / "a" / "sample-0.txt").read_text().split()]])
    assert line["log_prob"] == pytest.approx(scored("lstm:tiny", x, {}, seed=7).item(), rel=1e-5)


def test_the_data_are_those_of_the_training_where_they_have_a_name(answer, trained, tmp_path, monkeypatch):
    spec = "pixelcnn:tiny_columns"
    stripes = [np.full((8, 8, 1), 255, np.uint8)] * 10
    monkeypatch.setitem(NAMED, "stripes", ("images", lambda: stripes))
    known = Data("stripes", digest(resolve(spec).build().divide(stripes)))
    file = trained(spec, tmp_path / "mine" / "model.safetensors", data=known)
    found = answer("sample", "--checkpoint", file, "--count", 1, "--out", tmp_path / "out")
    assert (found.code, found.err) == (0, "")
    (line,) = lines_of(tmp_path / "out")
    assert (line["data"], line["held_out"], line["n"]) == ("stripes", True, 64)
    assert (load_images(tmp_path / "out" / "real.png")[0] == 255).all()


def test_a_translation_is_as_long_as_those_that_it_was_trained_on(answer, trained, pairs, tmp_path):
    file = trained("seq2seq:tiny,levels=256", tmp_path / "mine" / "model.safetensors", recipe={"n": 9})
    words = ("--checkpoint", file, "--data", pairs, "--count", 1)
    assert answer("sample", *words, "--out", tmp_path / "out").code == 0
    assert lines_of(tmp_path / "out")[0]["n"] == 9


def test_positions_that_were_not_trained_are_not_drawn(answer, trained, tmp_path):
    file = trained("transformer:tiny", tmp_path / "mine" / "model.safetensors", recipe={"n": 20})
    assert answer("sample", "--checkpoint", file, "--count", 1, "--out", tmp_path / "out").code == 0
    assert lines_of(tmp_path / "out")[0]["n"] == 20


def test_a_method_that_is_wrong_leaves_nothing(answer, tmp_path):
    (tmp_path / "wrong.py").write_text(
        "import torch\n\n\ndef zeros(model, noise):\n    return torch.zeros(noise.shape[:2], dtype=torch.long)\n\n\n"
        "def fails(model, noise):\n    raise KeyError('none')\n"
    )
    for name, said in (("zeros", "but the parameters that its own prefix implies draw"), ("fails", "fails: ")):
        out = tmp_path / name
        words = ("--model", "lstm:tiny", "--n", 40, "--method", f"{tmp_path}/wrong.py:{name}", "--out", out)
        found = answer("sample", *words)
        assert (found.code, found.out, found.err.count("\n")) == (1, "", 1)
        assert said in found.err
        assert found.err.endswith("; nothing is written\n")
        assert not out.exists()


def test_a_folder_that_holds_samples_is_left_alone(answer, refusal, tmp_path):
    words = ("sample", "--model", "factorised:tiny", "--count", 1, "--n", 4, "--out", tmp_path / "out")
    assert answer(*words).code == 0
    before = (tmp_path / "out" / "samples.jsonl").read_bytes()
    assert refusal(*words) == f"--out {tmp_path / 'out'}: holds samples already; choose another folder"
    assert (tmp_path / "out" / "samples.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "name one of --model and --checkpoint, such as --model pixelcnn:digits"),
        ("--model lstm:tiny --checkpoint x", "name one of --model and --checkpoint, such as --model pixelcnn:digits"),
        ("--model lstm:none", "model 'lstm' has no preset 'none'; available: "),
        ("--model lstm:tiny --count 0", "--count must be at least 1, got 0"),
        ("--model lstm:tiny --n 0", "--n must be at least 1, got 0"),
        ("--model lstm:tiny --seed -1", "--seed must be between 0 and 2^63 - 1, got -1"),
        ("--model lstm:tiny --threads 0", "--threads must be at least 1, got 0"),
        ("--model lstm:tiny --dtype f", "unknown dtype 'f'; "),
        ("--model pixelcnn:digits --n 60", "pixelcnn:digits: no square has 60 pixels; near: 49, 64"),
        ("--model lstm:tiny --method casched", "unknown method 'casched'; did you mean 'cached'?"),
        ("--model lstm:tiny --method sequential", "lstm:tiny does not sample by 'sequential'; it samples by naive, "),
        ("--model lstm:tiny --method fused", "lstm:tiny does not sample by 'fused', which needs a native loop, "),
        ("--model lstm:tiny --data none.txt", "none.txt: does not exist; wanted a UTF-8 text file"),
        (
            "--model transformer:audio_from_text --data x",
            "transformer:audio_from_text: SpeechFromText does not read data from a path: ",
        ),
    ],
)
def test_wrong_use_is_refused(words, said, refusal, tmp_path):
    assert refusal("sample", *words.split(), "--out", tmp_path / "out").startswith(said)
    assert not (tmp_path / "out").exists()


def test_from_python(tmp_path):
    import arbench

    found = arbench.sample("factorised:tiny", count=2, n=16, seed=3)
    assert found.x.shape == (2, 16)
    assert found.log_prob is not None
    exact = scored("factorised:tiny", found.x, found.context, seed=3).tolist()
    assert found.log_prob.tolist() == pytest.approx(exact, rel=1e-5)
    assert [path.name for path in found.write(tmp_path / "out")] == ["samples.png", "real.png", "samples.jsonl"]
    with Image.open(io.BytesIO((tmp_path / "out" / "sample-1.png").read_bytes())) as picture:
        assert picture.size == (128, 128)
    assert repr(found).startswith("<2 samples of factorised:tiny/sample/cached/")
