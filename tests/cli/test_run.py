"""arbench run to its end: output, files, and resuming."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import msgspec
import pytest

from arbench.results import AnyLine, Case, Fit, read

NAMES = {
    "<marquee>wrong": "class Mine(WaveNet):\n    claims = {('sample', 'cached'): Claim('1', 'N')}\n",
    "<img src=x>leaky": (
        "class Mine(WaveNet):\n"
        "    def forward(self, f, code):\n"
        "        later = f.to(self.out.dtype).mean(1)[:, None, None]\n"
        "        return super().forward(f, code) + later\n"
    ),
}
IMPORTS = "from arbench.models import Claim\nfrom arbench.models.wavenet import WaveNet\n"


class Tags(HTMLParser):
    """Collector of the start tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_a_run_says_what_it_found_and_leaves_it(finished):
    folder, said = finished
    assert said.code == 0
    lines = said.out.splitlines()
    results = read(folder)
    slowdown = results.slowdowns["wavenet:tiny/sample/cached/eager/cpu/float32/b1/n16"]
    assert slowdown.score == "wavenet:tiny/score/parallel/eager/cpu/float32/b1/n16"
    assert lines[0] == "wavenet:tiny"
    words = " ".join(lines[1:3]).split()
    said_x = words[words.index("takes") + 1]
    assert float(said_x.rstrip("x")) == pytest.approx(slowdown.ratio, rel=0.5)  # one digit, perhaps
    first = f"At N = 16 sampling takes {said_x} (range "
    assert " ".join(words).startswith(first)
    assert " ".join(words).endswith(") as long as scoring: cached/parallel.")
    assert "Verified: 4 cases are right, none is wrong. Claims on depth and work: 4 hold." in lines
    place = lines.index(f"report   {folder}/report.html")
    assert place < 24
    assert lines[place + 1 : place + 3] == [
        f"results  {folder}/results.jsonl",
        f"details  arbench report {folder} --details",
    ]
    assert "holds: " not in said.out
    assert max(len(line) for line in lines if str(folder) not in line) <= 80
    assert "Traceback" not in said.err
    assert {"results.jsonl", "report.html", "summary.md", "figures"} == {p.name for p in folder.iterdir()}
    assert all(sum(count.links.values()) == count.depth for count in results.counts.values() if count.links)
    assert sum(bool(count.links) for count in results.counts.values()) >= 8
    assert results.run.argv[0] == "run"
    assert results.run.seed == 5
    assert {(case.method, case.n) for case in results.cases.values()} == {
        ("parallel", 8),
        ("parallel", 16),
        ("cached", 8),
        ("cached", 16),
    }
    assert {(case.status, case.workers) for case in results.cases.values()} == {("ok", 2)}


def test_a_finished_folder_is_refused_and_left_as_it_is(refusal, copied, small):
    before = (copied / "results.jsonl").read_bytes()
    said = refusal("run", *small, "--out", copied)
    assert said == (
        f"{copied}/results.jsonl already contains a run; continue it with --resume, or choose another --out"
    )
    said = refusal("run", "--resume", "--seed", 6, "--out", copied)
    assert said == (f"{copied}/results.jsonl contains a run with other options; resume it without changing them")
    assert (copied / "results.jsonl").read_bytes() == before


def test_resuming_a_finished_run_measures_nothing_more(answer, copied, small):
    before, content = read(copied), (copied / "results.jsonl").read_bytes()
    found = answer("run", "--resume", "--out", copied, "--json")
    assert found.code == 0
    assert (copied / "results.jsonl").read_bytes() == content
    rows = [msgspec.json.decode(line, type=AnyLine) for line in found.out.splitlines()]
    after = read(copied)
    assert after.samples == before.samples
    assert after.cases == before.cases
    assert [row for row in rows if isinstance(row, Case)] == list(before.cases.values())
    assert {row.verdict for row in rows if isinstance(row, Fit) and row.metric == "depth"} == {"holds"}
    assert answer("run", "--resume", *small, "--out", copied).code == 0  # its own options, repeated


def test_a_changed_environment_is_reported(answer, copied, unseal):
    file = copied / "results.jsonl"
    run, *rest = unseal(file)
    facts = json.loads(run)
    facts["environment"]["versions"]["python"] = "2.7"
    file.write_bytes(json.dumps(facts).encode() + b"\n" + b"".join(rest[:-1]))
    found = answer("run", "--resume", "--out", copied)
    assert found.code == 0
    assert "the environment changed since the run began: versions.python\n" in found.err
    assert read(copied).resumes[-1].changed == ["versions.python"]


def test_wrong_claims_leaks_and_html(answer, inside, tmp_path):
    for name, body in NAMES.items():
        (tmp_path / f"{name}.py").write_text(IMPORTS + body)
    data = tmp_path / "<blink>sound.wav"
    data.write_bytes(sound())
    models = [word for name in NAMES for word in ("--model", f"{tmp_path / name}.py:Mine:tiny")]
    found = answer(
        "run",
        *models,
        "--n",
        8,
        "--method",
        "cached",
        "--rounds",
        1,
        "--workers",
        1,
        "--data",
        data,
        "--out",
        tmp_path / "out",
    )
    assert found.code == 1
    assert found.err.splitlines()[-1] == "arbench: 1 case inexact, 1 claim fails"
    words = " ".join(found.out.split())
    assert "✗ FAILS: <marquee>wrong.Mine:tiny sampling (cached): claimed depth O(1), measured O(N)" in words
    leak = "forward leaks: parameters of element 0 change with elements from 0 on."
    assert f"Inexact: <img src=x>leaky.Mine:tiny, sample cached at N = 8: {leak}" in words
    assert "holds: <img src=x>leaky" not in found.out
    wrong, leaky = read(tmp_path / "out").cases.values()
    assert (wrong.model, wrong.status) == ("<marquee>wrong.Mine", "ok")
    assert (leaky.model, leaky.status, leaky.samples) == ("<img src=x>leaky.Mine", "inexact", 0)
    assert leaky.error == "forward leaks: parameters of element 0 change with elements from 0 on"
    page = (tmp_path / "out" / "report.html").read_text()
    for name in ("&lt;marquee&gt;wrong.Mine", "&lt;img src=x&gt;leaky.Mine", "&lt;blink&gt;sound.wav"):
        assert name in page
    tags = Tags()
    tags.feed(page)
    assert not {"marquee", "blink"} & {tag for tag, _ in tags.found}
    assert not [attributes for tag, attributes in tags.found if attributes.get("src") == "x"]


def test_a_verdict_does_not_depend_on_which_methods_were_asked_for(answer, inside, tmp_path):
    """Speculative alone is judged as it is beside the methods that its verdict needs, which are counted unseen."""
    words = ["run", "--model", "wavenet:tiny", "--n", "8", "--rounds", "1", "--workers", "1", "--method", "speculative"]
    found = []
    for more in ("--op sample", "--method parallel --method naive"):
        out = tmp_path / str(len(found))
        said = answer(*words, *more.split(), "--out", out)
        assert said.code == 0, said
        results = read(out)
        fits = [fit for fit in results.fits.values() if fit.method == "speculative"]
        found.append([(fit.metric, fit.claimed, fit.verdict, fit.why) for fit in fits])
    alone, beside = found
    assert alone == beside
    assert {verdict for _, claimed, verdict, _ in alone if claimed} == {"holds"}
    results = read(tmp_path / "0")
    assert {case.method for case in results.cases.values()} == {"speculative"}
    assert {line.method for line in results.fits.values()} == {"speculative"}
    assert {line.case for line in results.samples} == set(results.cases)
    assert "unfinished" not in (tmp_path / "0" / "summary.md").read_text()
    assert [name.split("/")[1:3] for name in results.run.plan["needed"]] == [["sample", "naive"], ["score", "parallel"]]


def sound() -> bytes:
    """Return a tenth of a second of a sine as a WAV file."""
    import io
    import math
    import struct
    import wave

    raw = io.BytesIO()
    with wave.open(raw, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(i / 5))) for i in range(1600)))
    return raw.getvalue()


def test_a_finished_run_is_profiled_without_being_timed_again(answer, copied, inside):
    before = read(copied)
    found = answer("run", "--resume", "--profile", "--no-samples", "--out", copied)
    after = read(copied)
    assert (found.code, after.samples, after.cases) == (0, before.samples, before.cases)
    assert [line.case.split("/")[1:3] for line in after.profiles.values()] == [
        ["score", "parallel"],
        ["sample", "cached"],
    ]
    assert "\nWhere the time goes\n  wavenet:tiny score parallel, N = 16: a call takes " in found.out
    assert f"\ntraces   {copied}/profiles (for ui.perfetto.dev or chrome://tracing)\n" in found.out
    for line in after.profiles.values():
        assert (copied / str(line.file)).exists()
        assert f"]({line.file})" in (copied / "summary.md").read_text()
    assert answer("report", copied, "--json").out.count('"kind":"profile"') == 2
