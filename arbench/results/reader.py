"""The reader of results files."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import msgspec

from arbench.border.printable import on_one_line
from arbench.files import require_regular
from arbench.results.checks import decoded
from arbench.results.errors import NoFileError, ResultsError, UnreadableError
from arbench.results.memory import Results
from arbench.results.schema import SCHEMA, AnyLine
from arbench.results.schema.measured import Samples
from arbench.results.schema.run import Run, Seal
from arbench.results.seals import Tape

FILE_NAME = "results.jsonl"


def locate(path: Path) -> Path:
    """Return the results file at a path, which names the file or the folder of a run."""
    return path / FILE_NAME if os.path.isdir(path) else path


def read(path: Path) -> Results:
    """Read and validate a results file.

    Args:
        path: the file, or the folder of a run.

    Returns:
        The results; ``integrity`` states what the seals say. A file without seals, from before them, is read as well.

    Raises:
        ResultsError: there is no such file, its first line is not a ``run`` line, a line other than a torn last one
            is invalid, or a seal does not agree with the lines before it.
    """
    path = locate(path)
    try:
        require_regular(path)
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise NoFileError(f"{path}: {error.strerror}") from None
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror}") from None
    except ValueError as error:  # a path with a null character
        raise ResultsError(f"{path}: {error}") from None
    whole, _, torn = data.rpartition(b"\n")
    if torn:
        warnings.warn(f"{path}: a torn last line was dropped", stacklevel=2)
    raws = whole.split(b"\n") if whole else []
    if not raws:
        raise ResultsError(f"{path}: empty; a results file begins with a 'run' line")
    tape, number = Tape(), 1
    try:
        first = _parsed(raws[0], tape)
        if not isinstance(first, Run):
            raise ResultsError("a results file begins with a 'run' line")
        results, timed = Results(first), dict[bytes, int]()
        for number, raw in enumerate(raws[1:], 2):
            line = _parsed(raw, tape)
            if isinstance(line, Samples) and first.sealed and (before := timed.setdefault(raw, number)) != number:
                raise ResultsError(f"damaged: it repeats line {before}")
            results.add(line)
    except ResultsError as error:
        problem = f"{path}:{number}: {error.problem}"
        if tape.whole:
            raise ResultsError(problem, _kept(tape.whole)) from None
        kind = UnreadableError if isinstance(error, UnreadableError) else ResultsError
        raise kind(problem, error.advice) from None
    results.integrity = tape.integrity(first.sealed)
    return results


def _parsed(raw: bytes, tape: Tape) -> AnyLine:
    """Return a line, added to the tape. Raises ResultsError."""
    try:
        line = decoded(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnreadableError(on_one_line(error)) from None
    except ValueError as error:
        raise ResultsError(str(error)) from None
    except RecursionError:
        raise ResultsError("too many levels of lists and objects") from None
    if isinstance(line, Run) and line.schema != SCHEMA:
        raise ResultsError(f"schema {line.schema} is unknown; this arbench reads schema {SCHEMA}")
    if isinstance(line, Seal) and not tape.agrees(line):
        raise ResultsError("damaged: this seal does not agree with the lines before it")
    tape.add(raw + b"\n", line if isinstance(line, Seal) else None)
    return line


def _kept(whole: int) -> str:
    """Return what to do where the seals before a broken line are good, up to the one on line ``whole``."""
    return f"the last good seal is line {whole}: restore the file, or keep what is whole with head -n {whole}"
