"""Measure the suite ``trained`` for the report: quality beside speed, and passes at random and at trained weights.

    python benchmarks/trained/frontier.py [--out reports/trained/frontier]

is ``arbench run --suite trained`` into an empty folder; further options are those of ``arbench run``. The folder keeps
the results and the figure of the frontier, of which ``arbench report`` makes the rest again, samples apart. The page,
which has samples of each model to look at, to listen to and to read, is kept where it has at most ``MOST`` bytes.
``readme.py`` makes the tables of the report.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from arbench.results import FILE_NAME

ARBENCH = Path(sys.executable).with_name("arbench")
MOST = 1_000_000
"""Largest page in bytes that is kept."""
SUMMARY = "summary.md"
KEPT = ("frontier.",)
"""Beginnings of the names of figures that are kept."""


def refusal(out: Path) -> str | None:
    """Return why a folder may not be deleted for a new run, on one line; None if it may, or is not there."""
    if not out.exists() or (out / FILE_NAME).exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    return f"--out {out}: is not the folder of a run, which would be deleted; choose another --out"


def main() -> int:
    """Run the suite; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("reports/trained/frontier"))
    options, more = parser.parse_known_args()
    out: Path = options.out
    if (why := refusal(out)) is not None:
        parser.error(why)
    if out.exists():
        shutil.rmtree(out)
    code = subprocess.run([ARBENCH, "run", "--suite", "trained", *more, "--out", str(out)]).returncode
    for figure in (out / "figures").glob("*"):
        if not figure.name.startswith(KEPT):
            figure.unlink()
    (out / SUMMARY).unlink(missing_ok=True)  # it shows figures and samples that are not kept
    page = out / "report.html"
    if page.exists() and page.stat().st_size > MOST:
        size = f"{page.stat().st_size:,} bytes"
        print(f"{page} has {size} and is left out; arbench report {out} --out FOLDER makes it without samples")
        page.unlink()
    if (out / "samples").exists():
        shutil.rmtree(out / "samples")
    return code


if __name__ == "__main__":
    sys.exit(main())
