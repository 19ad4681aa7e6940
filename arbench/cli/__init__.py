"""Command line: one file for each command, imported only when the command is called."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import traceback
import warnings
from typing import NoReturn

import click

from arbench.border.suggest import did_you_mean
from arbench.cli.border import OutputError, guarded
from arbench.cli.errors import UNEXPECTED, NothingError
from arbench.cli.shell import for_certain, scarce
from arbench.own.raised import one_line

COMMANDS = {
    "run": "measure models: verify, count, time, report",
    "verify": "check in seconds that models and methods are right, in plain words",
    "kernels": "time the kernels against torch and other libraries",
    "train": "train a model on real data, and write a checkpoint",
    "distill": "distil a trained teacher into a student that draws in fewer steps",
    "sample": "draw events to look at, to listen to or to read",
    "new": "write a starting file for a model of your own",
    "list": "list models, presets, methods and devices",
    "report": "render the report of a results file",
    "compare": "compare stored results side by side",
    "check": "compare this version with a baseline or another version, for CI",
    "history": "follow a metric over commits and find its steps",
    "doctor": "measure the limits and the noise of this machine",
}
"""Line in the help for each command."""

EXAMPLES = {
    "train": "arbench train --model wavenet:tiny --out FOLDER",
    "distill": "arbench distill --teacher wavenet:teacher@speech --student parallel_wavenet:student --out FOLDER",
    "sample": "arbench sample --model wavenet:nv@speech --out FOLDER",
    "new": "arbench new model my_model.py",
    "report": "arbench report FOLDER",
    "history": "arbench history FOLDER --repo .",
}
"""A whole command, for those that have an option or an argument which must be given."""

COMPLETE = "_ARBENCH_COMPLETE"
"""Variable by which a shell asks for completions; click ends the process after it has answered."""


class Commands(click.Group):
    """Group of commands whose modules are imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return [*COMMANDS]  # `list` is a module of this package, once it is imported

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command from its module, or None if there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"arbench.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing their modules."""
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments call; suggest a close name for an unknown one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"no command '{args[0]}'; {did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="arbench", message="arbench %(version)s")
def group() -> None:
    """Benchmark scoring and sampling of autoregressive models; every method is verified before it is timed."""


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit.

    Wrong use prints one line and exits with 2, an interrupt with 130, and a failure that no command expects with
    ``UNEXPECTED``, which is the code of no result.
    """
    if os.environ.get(COMPLETE):  # a shell reads what click then writes, in bytes
        group.main(prog_name="arbench")
    with guarded():
        _main(sys.argv[1:] if args is None else args)


def _main(args: list[str]) -> NoReturn:
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells where it caches fonts
    warnings.showwarning = lambda message, *_: click.echo(f"arbench: warning: {message}", err=True)
    try:
        code = group.main(args or ["--help"], prog_name="arbench", standalone_mode=False, obj=args) or 0
        sys.stdout.flush()
    except click.MissingParameter as error:
        command = error.ctx.command_path.split()[1] if error.ctx else ""
        example = EXAMPLES.get(command, f"arbench {command} --help")
        click.echo(f"arbench: {' '.join(error.format_message().split()).rstrip('.')}; for example: {example}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        click.echo(f"arbench: {' '.join(error.format_message().split())}", err=True)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("arbench: interrupted", err=True)
        sys.exit(130)
    except OutputError as error:
        click.echo(f"arbench: cannot write standard output: {error.strerror}", err=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still to be written would fail again at the exit
        sys.exit(UNEXPECTED)
    except Exception as error:
        if (why := scarce(error)) is not None:
            _out_of_room(error, why)
        _unexpected(error)
    sys.exit(code)


def _out_of_room(error: Exception, why: str) -> NoReturn:
    """Print what the limits of the shell or the machine forbid, after the traceback unless that is certain; exit."""
    if not for_certain(error):
        traceback.print_exception(error)
    click.echo(f"arbench: {why}", err=True)
    sys.exit(NothingError.exit_code)


def _unexpected(error: Exception) -> NoReturn:
    """Print the traceback of an error that no command expects, and exit."""
    traceback.print_exception(error)
    click.echo(
        f"arbench: unexpected failure, which is no result: {one_line(error)}; please report it with the lines above",
        err=True,
    )
    sys.exit(UNEXPECTED)
