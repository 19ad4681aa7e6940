"""Wrong use: one line on standard error, exit code 2, and nothing written."""

from __future__ import annotations

import os
import struct
import wave
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image

from arbench.adapters.dispatch import TAKEN
from arbench.bench.plan import Options, make_plan
from arbench.cli import COMMANDS
from arbench.cli.run import say_absent
from arbench.models import resolve, save
from arbench.results import Run, Writer
from arbench.results.errors import DAMAGED, WRITES_IT

RUN = Run(
    schema=1,
    run_id="r",
    started_at="2026-01-05T12:00:00+00:00",
    argv=[],
    seed=0,
    git=None,
    plan={},
    environment={},
    limits={},
)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def left(folder: Path) -> set[str]:
    """Return everything below a folder, except bytecode."""
    found = {p.relative_to(folder) for p in folder.rglob("*")}
    return {str(path) for path in found if "__pycache__" not in path.parts}


def wav(path: Path, samples: int = 4000, rate: int = 16000, channels: int = 1) -> Path:
    tone = (np.sin(np.arange(samples * channels) / 5) * 9000).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(tone.tobytes())
    return path


NO_CUDA = f"torch {torch.__version__} sees no CUDA device here; use cpu"
HAS = (
    "score parallel, score sequential, sample naive, sample cached, sample fused, sample stream, sample fixed_point, "
    "sample blocks, sample forecast, sample speculative, sample rejection"
)
NUMBER = "expected an integer or comma-separated integers, got"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--model wavnet", "unknown model 'wavnet'; did you mean 'wavenet'?"),
        ("--model wavenet:tinny", "model 'wavenet' has no preset 'tinny'; did you mean 'tiny'?"),
        ("--n 0", "--n must be at least 1, got 0"),
        ("--n abc", f"Invalid value for '--n': {NUMBER} 'abc'"),
        ("--n 8,x", f"Invalid value for '--n': {NUMBER} '8,x'"),
        ("--n 8.5", f"Invalid value for '--n': {NUMBER} '8.5'"),
        ("--n 8 --n -3", "--n must be at least 1, got -3"),
        ("--batch -1", "--batch must be at least 1, got -1"),
        ("--batch 0", "--batch must be at least 1, got 0"),
        ("--device tpu", "unknown device 'tpu'; use cpu, cuda or cuda:INDEX"),
        ("--dtype float31", "unknown dtype 'float31'; did you mean 'float32'?"),
        ("--method parallel,cachd", "unknown method 'cachd'; did you mean 'cached'?"),
        ("--method cachd", "unknown method 'cachd'; did you mean 'cached'?"),
        (
            "--peer r9y9",
            "expected NAME=PATH, the name of a peer and a checkout of its repository, got 'r9y9'",
        ),
        (
            "--peer r9y9=",
            "expected NAME=PATH, the name of a peer and a checkout of its repository, got 'r9y9='",
        ),
        ("--peer r9y=here", "unknown peer 'r9y'; did you mean 'r9y9'?"),
        (
            "--peer r9y9=nowhere",
            "peer 'r9y9': no folder nowhere; clone https://github.com/r9y9/wavenet_vocoder",
        ),
        ("--peer r9y9=. --op score", "--peer needs sampling; add --op sample"),
        ("--threads 0", "--threads must be at least 1, got 0"),
        ("--budget 0", "--budget must be above 0 seconds"),
        ("--budget nan", "--budget must be above 0 seconds"),
        ("--timeout 0", "--timeout must be above 0 seconds"),
        ("--timeout nan", "--timeout must be above 0 seconds"),
        ("--timeout -1", "--timeout must be above 0 seconds"),
        ("--timeout inf", "--timeout must be at most 1e+06 seconds"),
        ("--timeout 1e-300", "--timeout must be at least 0.001 seconds, got 1e-300"),
        ("--budget 1e-300", "--budget must be at least 0.001 seconds, got 1e-300"),
        ("--count-budget 1e-9", "--count-budget must be at least 0.001 seconds, got 1e-09"),
        ("--count-budget nan", "--count-budget must be above 0 seconds"),
        ("--target-ci nan", "--target-ci must be a relative width between 0 and 1, got nan"),
        ("--target-ci 0", "--target-ci must be a relative width between 0 and 1, got 0.0"),
        ("--n 1000000000000000000000000", "--n must be at most 1099511627776, got 1000000000000000000000000"),
        ("--batch 2000000000000", "--batch must be at most 1099511627776, got 2000000000000"),
        ("--threads 5000", "--threads must be at most 4096, got 5000"),
        ("--seed 9223372036854775808", "--seed must be between 0 and 2^63 - 1, got 9223372036854775808"),
        (
            "--model nmt_teacher:tiny --n 1000000",
            "the sources: too short: 79135 symbols with their ends; an event needs 1000000",
        ),
        (
            "--model wavenet:tiny,residual=-1",
            "model 'wavenet:tiny,residual=-1': Trying to create tensor with negative dimension -1: [4, -1]",
        ),
        ("--target-ci 2", "--target-ci must be a relative width between 0 and 1, got 2.0"),
        ("--workers 0", "--workers must be at least 1, got 0"),
        ("--rounds 0", "--rounds must be at least 1, got 0"),
        ("--seed -1", "--seed must be between 0 and 2^63 - 1, got -1"),
        (
            "--method inversion",
            f"model 'wavenet' has none of the methods requested; it has: {HAS}",
        ),
        (
            "--op score --method cached",
            f"model 'wavenet' has none of the methods requested; it has: {HAS}",
        ),
        ("--data none.wav", "none.wav: does not exist; wanted a mono 16000 Hz WAV file or a folder of them"),
        (
            "--model pixelcnn:tiny --n 50",
            "pixelcnn:tiny: no square image with 3 colours has 50 sub-pixels; near: 48, 75",
        ),
        (
            "--weights none.safetensors",
            "weights none.safetensors: not a readable safetensors file (No such file or directory: none.safetensors)",
        ),
        (
            "--weights w --model wavenet:tiny --model pixelcnn:tiny",
            "--weights is for one model; run the others separately",
        ),
        ("--model none.py:Mine", "model 'none.py:Mine': no file none.py"),
        ("--model none.py", "model 'none.py' names no class; add one, as in none.py:MyModel"),
        (
            "--model no.such.package:Mine",
            "model 'no.such.package:Mine': no module 'no' in the current folder, HERE, nor on Python's search path; "
            "run arbench in the folder of no, or name the file: path.py:Class",
        ),
        (
            "--suite taxonmy",
            "unknown suite 'taxonmy'; did you mean 'taxonomy'? (the path of a suite ends in .toml)",
        ),
        ("--suite none.toml", "suite none.toml: No such file or directory"),
        ("--suite taxonomy --n 0", "--n must be at least 1, got 0"),
        (
            "--suite taxonomy --model wavenet:tinny",
            "the suite has no model 'wavenet:tinny'; did you mean 'wavenet:tiny'?",
        ),
        ("--resume", f"out/results.jsonl: No such file or directory; {WRITES_IT}"),
    ],
)
def test_options_of_run(refusal, here, words, said):
    model = [] if "--model" in words or "--suite" in words else ["--model", "wavenet:tiny"]
    assert refusal("run", *model, "--out", "out", *words.split()) == said.replace("HERE", str(here))
    assert left(here) == set()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("rnu", "no command 'rnu'; did you mean 'run'?"),
        ("weather", f"no command 'weather'; available: {', '.join(COMMANDS)}"),
        ("run --resume", "--resume needs --out: the folder of the run to continue"),
        ("list --model wavnet", "unknown model 'wavnet'; did you mean 'wavenet'?"),
        ("report none", f"none: No such file or directory; {WRITES_IT}"),
        ("sample", "Missing option '--out'; for example: arbench sample --model wavenet:nv@speech --out FOLDER"),
        ("train --out a", "Missing option '--model'; for example: arbench train --model wavenet:tiny --out FOLDER"),
        ("report", "Missing argument 'PATH...'; for example: arbench report FOLDER"),
        ("doctor --device tpu", "unknown device 'tpu'; use cpu, cuda or cuda:INDEX"),
        ("doctor --threads 0", "--threads must be at least 1, got 0"),
        ("doctor --threads 100000", "--threads must be at most 4096, got 100000"),
        ("doctor --instances 1000000000", "--instances must be at most 4096, got 1000000000"),
        ("doctor --pairs 1000000000", "--pairs must be at most 4096, got 1000000000"),
        ("kernels --timeout nan", "--timeout must be above 0 seconds"),
        ("kernels --budget 1e-300", "--budget must be at least 0.001 seconds, got 1e-300"),
        ("check --baseline none --peak-tolerance nan", "--peak-tolerance must be at least 0 and below 1, got nan"),
        ("check --against . --kernel softmax --seed -1", "--seed must be between 0 and 2^63 - 1, got -1"),
        ("doctor --instances 1", "--instances must be at least 2, got 1"),
    ],
)
def test_commands(refusal, here, words, said):
    assert refusal(*words.split()) == said
    assert left(here) == set()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("--speed", "--speed"),
        ("run --modle wavenet", "--model"),
        ("run --n", "--n"),
        ("run --op dance", "'sample'"),
        ("run --budget soon", "--budget"),
        ("report", "PATH"),
    ],
)
def test_what_click_refuses_is_one_line_too(refusal, here, words, named):
    assert named in refusal(*words.split())
    assert left(here) == set()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
@pytest.mark.parametrize("command", ["run", "doctor"])
def test_cuda_without_cuda(refusal, here, command, device):
    assert refusal(command, "--device", device) == f"device '{device}': {NO_CUDA}"


@pytest.mark.parametrize(("place", "why"), [("file", "File exists"), ("file/below", "Not a directory")])
def test_out_that_cannot_be_a_folder(refusal, here, place, why):
    (here / "file").write_text("mine")
    assert refusal("run", "--out", place) == f"--out {place}: cannot be written ({why}); choose another folder"
    assert (here / "file").read_text() == "mine"


def test_a_folder_without_sound(refusal, here):
    (here / "sounds").mkdir()
    said = refusal("run", "--model", "wavenet:tiny", "--out", "out", "--data", "sounds")
    assert said == "sounds: is a folder without .wav files; wanted a mono 16000 Hz WAV file or a folder of them"


def truncated(path: Path) -> Path:
    raw = wav(path).read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (truncated, "is truncated: its header declares 8000 bytes of sound, it has 3978; wanted the complete file"),
        (lambda p: wav(p, channels=2), "has 2 channels; wanted 1 (mix it down first)"),
        (lambda p: wav(p, rate=44100), "is sampled at 44100 Hz; wanted 16000 Hz (resample it first)"),
        (lambda p: wav(p, 0), "contains no samples; wanted audio"),
        (lambda p: p.write_bytes(b""), "is empty; wanted a mono 16000 Hz WAV file or a folder of them"),
    ],
)
def test_sound_that_cannot_be_used(refusal, here, make, said):
    make(here / "a.wav")
    assert refusal("run", "--model", "wavenet:tiny", "--out", "out", "--data", "a.wav") == f"a.wav: {said}"
    assert left(here) == {"a.wav"}


def test_sound_that_is_too_short(refusal, here):
    wav(here / "a.wav", 100)
    said = refusal("run", "--model", "wavenet:tiny", "--out", "out", "--data", "a.wav", "--n", 8, "--n", 101)
    assert said == "the audio: too short: 100 samples; an event needs 101; choose a smaller --n"


def test_sound_for_a_model_of_images(refusal, here):
    wav(here / "a.wav")
    said = refusal("run", "--model", "pixelcnn:tiny", "--out", "out", "--data", "a.wav")
    assert said.startswith("a.wav: ")
    assert "PNG" in said


def test_images_for_a_model_of_sound(refusal, here):
    Image.new("RGB", (8, 8)).save(here / "a.png")
    said = refusal("run", "--model", "wavenet:tiny", "--out", "out", "--data", "a.png")
    assert said.startswith("a.png: is not readable as audio (")


def weights(path: Path, spec: str = "wavenet:tiny") -> Path:
    save(resolve(spec).build(), path)
    return path


def test_weights_of_another_model(refusal, here):
    weights(here / "w", "pixelcnn:tiny")
    said = refusal("run", "--model", "wavenet:tiny", "--out", "out", "--weights", "w")
    assert said.startswith("weights w: saved from another model or preset: ")
    assert "WaveNet" in said
    assert left(here) == {"w"}


def test_weights_of_another_preset(refusal, here):
    weights(here / "w", "wavenet:tiny_logistic")
    said = refusal("run", "--model", "wavenet:tiny", "--out", "out", "--weights", "w")
    assert said.startswith("weights w: saved from another model or preset: ")


class Trap:
    """Object whose pickle creates a file when it is loaded."""

    def __reduce__(self):
        return Path.touch, (Path("sprung"),)


def pickled(path: Path) -> None:
    torch.save({"embedding": Trap()}, path)


def halved(path: Path) -> None:
    raw = weights(path).read_bytes()
    path.write_bytes(raw[: len(raw) // 2])


def absurd(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 2**60) + b"{}")


@pytest.mark.parametrize("make", [halved, pickled, absurd, Path.touch, Path.mkdir])
def test_weights_that_are_no_safetensors(refusal, here, make):
    make(here / "w")
    said = refusal("run", "--model", "wavenet:tiny", "--out", "out", "--weights", "w")
    assert said.startswith("weights w: not a readable safetensors file (")
    assert left(here) == {"w"}


HEAD = "from arbench.models.wavenet import WaveNet\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "mine.py has no 'Mine'"),
        (HEAD + "class Min(WaveNet): ...", "mine.py has no 'Mine'; did you mean 'Min'?"),
        ("class Mine: ...", f"Mine is not a subclass of arbench.models.Source; {TAKEN}"),
        ("Mine = 3", f"3 is not a subclass of arbench.models.Source; {TAKEN}"),
        ("class Mine(:", "importing mine.py failed: SyntaxError: invalid syntax (mine.py:1)"),
        ("1 / 0", "importing mine.py failed: ZeroDivisionError: division by zero (mine.py:1)"),
        (
            "from arbench.models import Source\nclass Mine(Source): ...",
            "Mine does not define extend, forward, observe, start",
        ),
    ],
)
def test_a_file_without_a_usable_model(refusal, here, text, said):
    (here / "mine.py").write_text(text)
    assert refusal("run", "--model", "mine.py:Mine", "--out", "out") == f"model 'mine.py:Mine': {said}"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "def __init__(self, **config): raise ValueError('no\\nluck')",
            "model 'mine.py:Mine:nv': ValueError: no luck (mine.py:4)",
        ),
        (
            "def observe(self, *args): return {}['x']",
            "model 'mine.py:Mine:nv': KeyError: 'x' (mine.py:4)",
        ),
        (
            "presets = {}",
            "model 'mine.Mine' has no presets; define settings by name in the class, such as presets = {'tiny': {}}",
        ),
        (
            "claims = {('sample', 'cached'): Claim('N^4', 'N')}",
            "model 'mine.py:Mine:nv', claim for sample cached: unknown growth class 'N^4'; known: 1, log N, "
            "sqrt N, N, N log N, N^2, N^3",
        ),
    ],
)
def test_a_model_that_fails_before_any_work(refusal, here, body, said):
    imports = f"{HEAD}from arbench.models import Claim\n"
    (here / "mine.py").write_text(f"{imports}class Mine(WaveNet):\n    {body}\n")
    assert refusal("run", "--model", "mine.py:Mine", "--out", "out") == said
    assert left(here) <= {"mine.py"}


def test_two_files_that_call_a_model_the_same(refusal, here):
    for folder in ("a", "b"):
        (here / folder).mkdir()
        (here / folder / "m.py").write_text(HEAD + "class Mine(WaveNet): ...")
    specs = [f"{folder}/m.py:Mine:tiny" for folder in ("a", "b")]
    said = refusal("run", "--model", specs[0], "--model", specs[1], "--n", 8, "--out", "out")
    assert said == f"'{specs[1]}' and '{specs[0]}' are both called m.Mine:tiny; rename one"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (b"", ": empty; a results file begins with a 'run' line"),
        (b"{}\n", ":1: Object missing required field `kind`; " + DAMAGED),
        (b"loss,step\n0.1,3\n", ":1: JSON is malformed: invalid character (byte 0); " + DAMAGED),
        (
            msgspec.json.encode(RUN) + b"\nbroken\n",
            ":2: JSON is malformed: invalid character (byte 0); " + DAMAGED,
        ),
        (
            msgspec.json.encode(RUN).replace(b'"schema":1', b'"schema":7') + b"\n",
            ":1: schema 7 is unknown; this arbench reads schema 1",
        ),
        (msgspec.json.encode(RUN) + b"\n" + msgspec.json.encode(RUN) + b"\n", ":2: a second 'run' line"),
    ],
)
def test_a_results_file_that_is_none(refusal, here, lines, said):
    (here / "out").mkdir()
    file = here / "out" / "results.jsonl"
    file.write_bytes(lines)
    assert refusal("run", "--resume", "--out", "out") == f"out/results.jsonl{said}"
    assert refusal("report", "out") == f"out/results.jsonl{said}"
    assert file.read_bytes() == lines


NO_PIPES = "not a regular file; save its content to a file, and name that"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run --model wavenet:tiny --out out --weights p", f"weights p: not a readable safetensors file ({NO_PIPES})"),
        (
            "run --model wavenet:tiny --out out --data p",
            "p: is not a regular file; wanted a mono 16000 Hz WAV file or a folder of them",
        ),
        ("run --suite p.toml --out out", f"suite p.toml: {NO_PIPES}"),
        (
            "run --model p.py:Mine --out out",
            f"model 'p.py:Mine': importing p.py failed: OSError: [Errno 22] {NO_PIPES}: 'p.py'",
        ),
        ("run --model wavenet:tiny --resume --out piped", f"piped/results.jsonl: {NO_PIPES}"),
        ("report p", f"p: {NO_PIPES}"),
        ("history p", f"p: {NO_PIPES}"),
        ("compare p p.toml", f"p: {NO_PIPES}"),
        ("check --baseline p", f"p: {NO_PIPES}"),
        ("check --baseline p --update", f"p: {NO_PIPES}; remove it and write it again with --update"),
        (
            "check --baseline p --junit p",
            "--junit p: cannot be written (No such device or address); choose another file",
        ),
    ],
)
def test_a_pipe_is_refused_without_waiting_for_its_other_end(refusal, here, words, said):
    for name in ("p", "p.toml", "p.py", "piped/results.jsonl"):
        (here / name).parent.mkdir(exist_ok=True)
        os.mkfifo(here / name)
    assert refusal(*words.split()) == said
    assert left(here) == {"p", "p.toml", "p.py", "piped", "piped/results.jsonl"}


@pytest.mark.parametrize(
    "words",
    [
        "run --model wavnet --out new/out",
        "report none --out new/out",
        "compare none nothing --out new/out",
        "check --baseline new/out/b --update --model wavnet",
        "check --baseline none --junit new/out/j.xml",
    ],
)
def test_a_refused_command_leaves_no_folder(refusal, here, words):
    refusal(*words.split())
    assert left(here) == set()


def test_a_results_file_of_another_plan(refusal, here):
    with Writer(here / "out" / "results.jsonl") as writer:
        writer.write(RUN)
    said = refusal("run", "--resume", "--out", "out")
    assert said == "the plan in the results file cannot be resumed: 'options'; start another run"


def test_a_process_ends_with_the_same_line_and_code(finish, tmp_path):
    found = finish("run", "--model", "wavenet:tinny", "--out", tmp_path)
    assert (found.code, found.out) == (2, "")
    assert found.err == "arbench: model 'wavenet' has no preset 'tinny'; did you mean 'tiny'?\n"
    assert left(tmp_path) == set()


def test_a_method_that_no_model_of_a_run_has_is_named_with_the_reason(capsys):
    named = ["fused,weights=bfloat16", "cached"]
    plan = make_plan(Options(models=["wavenet:tiny"], methods=named, n=[8], dtype="bfloat16"))
    say_absent(plan, named)
    assert capsys.readouterr().err == (
        "arbench: no model of this run has fused,weights=bfloat16; fused,weights=bfloat16 needs a model in float32 or "
        "float64, not bfloat16; weights=bfloat16 rounds the weights of one in float32\n"
    )


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["sample", "--model", "made:tiny", "--model", "maf:tiny", "--out", "x"], "--model"),
        (["sample", "--model", "made:tiny", "--method", "cached", "--method", "naive", "--out", "x"], "--method"),
        (["sample", "--checkpoint", "a", "--checkpoint", "b", "--out", "x"], "--checkpoint"),
        (["train", "--model", "made:tiny", "--model", "maf:tiny", "--out", "x"], "--model"),
        (["distill", "--teacher", "a", "--teacher", "b", "--student", "made:tiny", "--out", "x"], "--teacher"),
        (["distill", "--teacher", "a", "--student", "made:tiny", "--student", "maf:tiny", "--out", "x"], "--student"),
    ],
)
def test_a_second_model_of_a_command_that_takes_one_is_not_forgotten(words, option, refusal) -> None:
    assert refusal(*words) == f"arbench {words[0]} takes one {option}; give the others to commands of their own"
