"""The command line: one file a command, each imported only when it is called."""

from __future__ import annotations

import importlib
import sys
import warnings

import click

from arbench.suggest import did_you_mean

COMMANDS = {
    "run": "measure models: verify, count, time, report",
    "kernels": "time the kernels against torch and others",
    "list": "models, presets, methods and devices",
    "report": "render the report of a results file",
    "compare": "stored results side by side",
    "check": "is this version as good as a baseline? For CI",
    "history": "a measure over commits, and where it steps",
    "doctor": "what this machine can measure, and how noisy it is",
}
"""Name to the line in the help."""


class Commands(click.Group):
    """Finds a command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"arbench.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"no command '{args[0]}'; {did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="arbench", message="arbench %(version)s")
def group() -> None:
    """Benchmarks autoregressive generators: scoring against sampling, verified before they are timed."""


def main(args: list[str] | None = None) -> None:
    """Entry point. Wrong use gives one line and exit code 2, an interrupt 130."""
    args = sys.argv[1:] if args is None else args
    warnings.showwarning = lambda message, *_: click.echo(f"arbench: warning: {message}", err=True)
    try:
        sys.exit(group.main(args or ["--help"], prog_name="arbench", standalone_mode=False, obj=args) or 0)
    except click.ClickException as error:
        click.echo(f"arbench: {' '.join(error.format_message().split())}", err=True)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("arbench: interrupted", err=True)
        sys.exit(130)
