"""arbench new: a starting file for a model of your own."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from arbench.cli.errors import RefusedError

CLASS = "MyModel"
"""The class in the file."""


@click.group("new", no_args_is_help=False)
def command() -> None:
    """Write a file to start from, which runs as it is."""


@command.command("model")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.py")
def model(file: Path) -> None:
    """Write a model of your own, of some 50 lines, into FILE.py; an existing file is left as it is."""
    if file.suffix != ".py":
        raise RefusedError(f"{file}: the file of a model is Python; name it {file.with_suffix('.py')}")
    text = (resources.files("arbench.cli.starters") / "model.py").read_text(encoding="utf-8")
    spec = f"{file}:{CLASS}"
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text.replace(f"my_model.py:{CLASS}", f"{file.name}:{CLASS}"))
    except FileExistsError:
        raise RefusedError(
            f"{file} exists already; choose another name, or run it: arbench run --model {spec}"
        ) from None
    except OSError as error:
        raise RefusedError(f"{file}: cannot be written ({error.strerror}); choose another place") from None
    click.echo(f"{file} is written; measure it with: arbench run --model {spec}")
