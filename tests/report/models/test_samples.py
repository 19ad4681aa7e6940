"""Samples on the page and in the summary: pictures, sounds, texts and translations, within bounds and escaped."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

from arbench.border.gallery import write
from arbench.border.shown import Picture, Sound, Text
from arbench.report import render
from arbench.report.models import samples
from arbench.report.models.samples import exhibition
from arbench.report.page import page
from arbench.results import Model, Run, Trained

RATE = 8000
NOISE = np.random.default_rng(3).normal(size=(4, 5 * RATE)).astype(np.float32) * 0.1
FACTS = {"level_db": -20.04, "real_level_db": -19.96, "spectrum_db": 7.25, "real_spectrum_db": None}
DIGITS = [Picture(np.full((8, 8, 1), level), 17) for level in (3, 9)]


def line(model: str, element: str, **more: object) -> dict[str, object]:
    same = {"model": model, "preset": "tiny@x", "method": "cached", "element": element, "n": 64}
    return {**same, "weights": "x", "held_out": True, "bits_per_element": 1.25, **more}


def sounds(folder: Path, count: int, seconds: float) -> None:
    some = [Sound(NOISE[row, : int(seconds * RATE)], RATE) for row in range(count)]
    write(folder, some, some[::-1], {"global": list(range(count))}, [line("wavenet", "audio sample", **FACTS)] * count)


@pytest.fixture
def drawn(tmp_path) -> Path:
    """A folder with samples of every kind."""
    bits = [line("pixelcnn", "pixel"), line("pixelcnn", "pixel", bits_per_element=2.75)]
    write(tmp_path / "samples" / "a", DIGITS, DIGITS[::-1], {}, bits)
    sounds(tmp_path / "samples" / "b", 2, 4.0)
    texts = [Text("<b>drawn</b> " + "x" * 700)], [Text("real | one")]
    write(tmp_path / "samples" / "c", *texts, {}, [line("lstm", "byte")])
    told = {"source": [Text("the *source*")]}
    write(tmp_path / "samples" / "d", [Text("drawn <i>")], [Text("reference")], told, [line("nmt_teacher", "symbol")])
    best = line(
        "nmt_teacher", "symbol", log_prob=-9.0, translation={"log_prob": -2, "elements": 4, "bits_per_element": 0.7}
    )
    texts = [[Text(one), Text(one)] for one in ("drawn", "right", "right <i>")]
    write(tmp_path / "samples" / "e", *texts[:2], {"source": texts[0]}, [best] * 2, [texts[1][0], texts[2][0]])
    return tmp_path


def embedded(html: str, mime: str) -> list[bytes]:
    return [base64.b64decode(one) for one in re.findall(f'src="data:{mime};base64,([^"]+)"', html)]


def test_the_page_holds_the_samples_and_fetches_nothing(build, models, drawn) -> None:
    html, summary, *_ = render(build(models=models[:1]), drawn)
    text = re.sub(r"<script>.*?</script>", "", html.read_text(), flags=re.DOTALL)
    assert not re.search(r'@import|<(link|iframe|script)\b|\bsrc\s*=\s*"(?!data:)|url\((?!#)', text)
    assert not re.search(r'href\s*=\s*"(?!#)', text)
    grids, spectrograms = embedded(text, "image/png")[:2], embedded(text, "image/png")[2:]
    assert grids == [(drawn / "samples" / "a" / name).read_bytes() for name in ("samples.png", "real.png")]
    played = [soundfile.read(io.BytesIO(one), dtype="float32") for one in embedded(text, "audio/flac")]
    assert len(played) == len(spectrograms) == 4
    assert [rate for _, rate in played] == [RATE] * 4
    assert [len(one) for one, _ in played] == [3 * RATE] * 4
    for (heard, _), row in zip(played, (0, 1, 1, 0), strict=True):
        assert np.abs(heard - NOISE[row, : 3 * RATE]).max() <= 2**-15
    words = " ".join(text.split())
    for expected in (
        "2 events of 64 pixels drawn by cached and verified: 2.000 bits per pixel on average. Real ones are of ",
        "in the order of the grid: 1.25, 2.75.",
        'alt="grid of 2 pictures drawn by pixelcnn:tiny@x"',
        'aria-label="sample 2, global 1"',
        'alt="spectrogram of real 1, global 0 of wavenet:tiny@x"',
        "1.25 bits per audio sample · -20.0 dBFS · spectrum 7.2 dB from real ones",
        "The page plays the first 3 s of 4.0 s",
        "&lt;b&gt;drawn&lt;/b&gt; xxx",
        "the first 600 characters are shown",
        '<td class="wraps">drawn &lt;i&gt;</td><td class="num" data-sort="1.25">1.25</td>',
        '<td class="wraps">right &lt;i&gt;</td><td class="num" data-sort="0.7">0.70</td><td class="wraps">drawn</td>',
        "1 of the 2 translations is the reference.",
    ):
        assert expected in words
    assert text.count("<img ") == len(re.findall(r'<img [^>]*alt="[^"]+"', text)) == 6
    markdown = summary.read_text()
    assert "![pixelcnn:tiny&#64;x: samples.png](samples/a/samples.png)" in markdown
    assert "[sample-1.wav](samples/b/sample-1.wav)" in markdown
    assert "| the \\*source\\* | reference | drawn &lt;i&gt; | 1.25 |" in markdown
    assert "&lt;b&gt;drawn" in markdown
    assert "<b>" not in markdown


def test_links_lead_from_the_folder_of_the_page(build, models, drawn) -> None:
    _, summary, *_ = render(build(models=models[:1]), drawn / "else where", drawn)
    assert "](../samples/b/sample-0.wav)" in summary.read_text()


def test_the_page_stays_small(build, models, tmp_path, monkeypatch) -> None:
    for name in "abc":
        sounds(tmp_path / "samples" / name, 4, 3.0)
    results = build(models=models[:1])
    whole = page(results, [], exhibition(results, tmp_path, tmp_path))
    most = 600_000
    assert len(whole) > 2 * most
    monkeypatch.setattr(samples, "MOST_EMBEDDED", most)
    found = exhibition(results, tmp_path, tmp_path)
    cut = page(results, [], found)
    bare = len(page(results, []))
    assert len(cut) - bare < most + 20_000
    assert [len([one for pair in each.pairs for one in pair]) for each in found.exhibits] == [2, 2, 4]
    assert "3 more in the folder alone, so that the page stays small" in cut


def test_what_cannot_be_read_is_said(build, models, drawn) -> None:
    (drawn / "samples" / "a" / "samples.png").write_bytes(b"GIF89a")
    (drawn / "samples" / "b" / "sample-1.wav").unlink()
    (drawn / "samples" / "c" / "samples.jsonl").write_text("{")
    (drawn / "samples" / "d" / "samples.tsv").write_text("one\ttwo\n")
    (drawn / "samples" / "e" / "samples.tsv").write_text("")
    results = build(models=models[:1])
    found = exhibition(results, drawn, drawn)
    assert found.exhibits == []
    assert [problem.replace(f"{drawn}/samples/", "") for problem in found.problems] == [
        "c/samples.jsonl: Input data was truncated",
        "a: no PNG that can be shown",
        "b: b/sample-1.wav: No such file or directory",
        "d: samples.tsv does not have source, reference and sample of each event",
        "e: samples.tsv does not have source, reference and sample of each event",
    ]
    assert page(results, [], found).count("<li>not shown: ") == 5


def test_a_trained_model_without_samples_has_the_command_that_draws_some(build, models, drawn) -> None:
    cases = [
        {"model": name, "preset": "tiny@x", "spec": f"{name}:tiny@my {name}/x"} for name in ("wavenet", "made", "iaf")
    ]

    def planned(one):
        return msgspec.structs.replace(one, plan={"cases": cases}) if isinstance(one, Run) else one

    facts = Trained("speech", 3.71, "bits per audio sample", True, 0, 12, "0" * 64)
    described = [Model(name, "tiny@x", "", "pixel", "", "", facts) for name in ("wavenet", "made")]
    results = build(models=models[:1], edit=planned, described=described)
    command = f"arbench sample --model 'made:tiny@my made/x' --out {drawn}/samples/made-tiny-x"
    html, summary, *_ = render(results, drawn)
    assert exhibition(results, drawn, drawn).commands == [("made:tiny@x", command)]
    assert command.replace("'", "&#39;") in " ".join(html.read_text().split())
    assert f"    {command}\n" in summary.read_text()
