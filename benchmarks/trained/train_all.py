"""Train every checkpoint that arbench ships or reports, one run after the other: resumable, unattended.

    python benchmarks/trained/train_all.py --out FOLDER [--only NAME ...] [--jobs 2]

The runs are the tables of ``runs.toml``. A run that is complete is left alone, one that was stopped continues. Each
writes its folder, ``FOLDER/NAME``, with the output of the command in ``log.txt``; ``FOLDER/times.jsonl`` has a line a
process: seconds, processor seconds and exit code. A run that needs others, as a student needs its teacher, waits for
them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shlex
import subprocess
import sys
import time
import tomllib
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Lock
from typing import Any

RUNS = Path(__file__).with_name("runs.toml")
DONE = "held_out.jsonl"
"""The last file of a run: it is there once the held-out part was scored."""
_writing = Lock()


def runs(only: list[str]) -> dict[str, dict[str, Any]]:
    """Return the runs by name, those that the named ones need included."""
    known: dict[str, dict[str, Any]] = tomllib.loads(RUNS.read_text(encoding="utf-8"))
    if not only:
        return known
    wanted: dict[str, dict[str, Any]] = {}

    def add(name: str) -> None:
        if name not in known:
            raise SystemExit(f"no run '{name}' in {RUNS.name}; there are {', '.join(known)}")
        for needed in known[name].get("needs", []):
            add(needed)
        wanted[name] = known[name]

    for name in only:
        add(name)
    return wanted


def trained(name: str, run: dict[str, Any], out: Path) -> int:
    """Run a command, from its beginning or from where it stopped, and return its exit code."""
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    command = [*shlex.split(run["command"].format(out=shlex.quote(str(out)))), "--out", str(folder)]
    if (folder / "state.safetensors").exists():
        command.append("--resume")
    begun = time.monotonic()
    with (folder / "log.txt").open("a", encoding="utf-8") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("arbench")), *command[1:]],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": str(run.get("threads", 1))},
        )
        _, status, used = os.wait4(process.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    line = {"run": name, "seconds": time.monotonic() - begun, "cpu_seconds": _cpu(used), "exit_code": code}
    with _writing, (out / "times.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    print(
        f"{name}: exit code {code} after {line['seconds']:.0f} s, {line['cpu_seconds']:.0f} s of a processor",
        flush=True,
    )
    return code


def _cpu(used: resource.struct_rusage) -> float:
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Train what is not trained yet; return 1 if a run failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    waiting = {name: run for name, run in runs(options.only).items() if not (options.out / name / DONE).exists()}
    running: dict[Future[int], str] = {}
    failed = []
    with ThreadPoolExecutor(options.jobs) as pool:
        while waiting or running:
            for name in [*waiting]:
                needs = waiting[name].get("needs", [])
                if any(one in failed for one in needs):
                    failed.append(name)
                    del waiting[name]
                elif (
                    not any(one in waiting or one in running.values() for one in needs) and len(running) < options.jobs
                ):
                    running[pool.submit(trained, name, waiting.pop(name), options.out)] = name
            for done in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                name = running.pop(done)
                if done.result():
                    failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}; see log.txt in their folders", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
