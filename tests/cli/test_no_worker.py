"""The output of a run in which no worker process starts any more."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from arbench.bench.plan import Plan
from arbench.bench.workers.failure import NoWorkerError
from arbench.cli.errors import NothingError
from arbench.cli.run import command, measured

STORED = Path(__file__).parents[2] / "reports" / "cpu-2core" / "kernels" / "results.jsonl"
WHY = str(NoWorkerError("MemoryError"))


@pytest.fixture
def ended(monkeypatch, tmp_path):
    """Return a function that runs into a folder with these lines until no worker starts, and returns the exit code."""

    def run(lines: list[bytes]) -> int:
        out = tmp_path / "out dir"
        out.mkdir()

        def fails(*_, **__):
            (out / "results.jsonl").write_bytes(b"".join(lines))
            raise NoWorkerError("MemoryError")

        monkeypatch.setattr("arbench.bench.runner.run_plan", fails)
        monkeypatch.setattr("arbench.cli.show.render", lambda results, folder, beside: [folder / "report.html"])
        with click.Context(command, info_name="kernels", obj=[]) as ctx, pytest.raises(click.exceptions.Exit) as exit_:
            measured(ctx, Plan(None), out, False, False)
        return exit_.value.exit_code

    return run


def test_what_was_measured_before_is_shown(ended, capsys, tmp_path):
    run, *lines = STORED.read_bytes().splitlines(keepends=True)
    assert ended([run, *(line for line in lines if b'"model":"softmax"' in line)]) == 70
    said = capsys.readouterr()
    assert "softmax" in said.out
    again = f"arbench kernels --resume --out '{tmp_path}/out dir'"
    assert said.err == f"arbench: {WHY}; then continue with: {again}\n"


def test_where_nothing_was_measured_the_line_is_all(ended, capsys, tmp_path):
    with pytest.raises(NothingError) as error:
        ended(STORED.read_bytes().splitlines(keepends=True)[:1])
    again = f"arbench kernels --resume --out '{tmp_path}/out dir'"
    assert error.value.message == f"{WHY}; then continue with: {again}"
    assert capsys.readouterr().out == ""
