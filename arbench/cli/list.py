"""arbench list: models, presets, methods, suites and devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from arbench.border.naming import without_preset
from arbench.border.printable import to_json
from arbench.cli.errors import refusing
from arbench.cli.options import law, only, option, split, with_law
from arbench.cli.shell import check_shell
from arbench.cli.terminal import wrapped


@click.command("list")
@only(
    "--model",
    "models",
    "Show only this model, with its methods; also path.py:Class or package.module:Class",
    metavar="NAME",
)
@law
@only(
    "--method",
    "methods",
    "Show only this method; also path.py:function or package.module:function",
    metavar="NAME",
    callback=split,
)
@option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
def command(models: tuple[str, ...], law: str | None, methods: list[str], as_json: bool) -> None:
    """List the models by family, with presets, elements and claimed depths, then suites, methods and devices."""
    if law is not None:
        models = tuple(with_law({"law": law, "models": models})["models"])
    check_shell("torch")
    import torch

    from arbench.bench.dtypes import DTYPES
    from arbench.bench.options import PlanError
    from arbench.bench.suite import shipped
    from arbench.methods import MethodError, installed
    from arbench.models import FAMILIES, ModelError, WeightsError, names, resolve
    from arbench.models.registry import EXTRAS

    with refusing(ModelError, MethodError, PlanError, WeightsError):
        chosen = [resolve(spec) for spec in models or (() if methods else names())]
        known = [method for spec in methods for method in _methods(spec, [one.cls for one in chosen])]
        for one in chosen if models else ():
            _check_claims(one.cls)
        suites, described = shipped(), [_model(one) for one in chosen]
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    found: dict[str, Any] = {
        "families": dict(FAMILIES),
        "models": described,
        "suites": {
            name: {"title": one.title, "models": list(dict.fromkeys(e.model for e in one.entries))}
            for name, one in suites.items()
        },
        "methods": known,
        "schemes": {name: {"package": package, "extra": extra} for name, (package, extra) in EXTRAS.items()},
        "installed_methods": installed(),
        "devices": ["cpu", *(f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(count))],
        "dtypes": list(DTYPES),
    }
    if as_json:
        click.echo(to_json(found).decode())
        return
    if models or methods:
        for model in found["models"]:
            _show(model, found["families"])
        for method in found["methods"]:
            _show_method(method)
    else:
        _show_all(found)
    for name in ("devices", "dtypes"):
        click.echo(_wrapped(f"{name:<8} {', '.join(found[name])}", 0, 9))


def _model(one: Any) -> dict[str, Any]:
    import msgspec

    from arbench.bench.models.wanted import claim_of
    from arbench.methods import lacking, methods_for
    from arbench.models.weights import shipped

    cls = one.cls
    model = one.build() if cls.feeds == "layers" else cls  # which way a stack is one pass depends on its layers
    return {
        "name": one.name,
        "spec": without_preset(one.spec, one.preset),
        "family": cls.family,
        "summary": (cls.__doc__ or "").strip().split("\n")[0],
        "remark": model.remark,
        "citation": cls.citation,
        "source": cls.citation,  # deprecated name, kept for scripts until the next release
        "element": cls.element,
        "default_preset": cls.default_preset,
        "presets": {name: dict(config) for name, config in cls.presets.items()},
        "trained": [
            {"spec": f"{one.name}:{ready.said.preset}@{ready.name}", **msgspec.to_builtins(ready.said)}
            for ready in shipped(one.name)
        ],
        "methods": [
            {
                "op": m.op,
                "method": m.name,
                "summary": m.summary,
                "exactness": m.exactness,
                "reference": m.reference,
                "claims": _claims(claim_of(model, m)),
            }
            for m in methods_for(model)
        ],
        "lacking": [{"op": m.op, "method": m.name, "why": why} for m, why in lacking(model).items()],
    }


def _methods(spec: str, kinds: Sequence[Any]) -> list[dict[str, Any]]:
    """Return what there is to say of the methods of a name or place, or of some models' own. Raises MethodError."""
    from arbench.methods import place_of, resolve

    place, found = place_of(spec, kinds), resolve(spec, kinds)
    feeds: dict[str, list[str]] = {}
    for m in found:
        feeds.setdefault(m.op, []).append({"x": "events", "z": "noise", "layers": "both, layer by layer"}[m.feeds])
    return [
        {
            "method": m.name,
            "place": place,
            "op": m.op,
            "reads": feeds[m.op],
            "summary": m.summary,
            "exactness": m.exactness,
            "records": m.records,
            "settings": list(m.settings),
            "claims": _claims(m.claim),
        }
        for m in {m.op: m for m in reversed(found)}.values()
    ]


def _show_method(method: dict[str, Any]) -> None:
    """Print a method: what it does and for which models, what it claims, and how to set it."""
    place = f"  {method['place']}" if method["place"] else ""
    click.echo(_wrapped(f"{method['op']} {method['method']}{place}", 0, 2))
    claims = method["claims"]
    settings = method["settings"]
    example = f"{method['method'].partition(',')[0]},{settings[0]}=..." if settings else ""
    lines = [
        method["summary"],
        f"for models that read {' or '.join(method['reads'])}; exactness: {method['exactness']}",
        f"claims: depth {claims['depth']}, work {claims['work']}" if claims else "",
        "" if method["records"] else "returns no parameters: only its draws are verified",
        f"settings, as in {example}: {', '.join(settings)}" if settings else "",
    ]
    for line in filter(None, lines):
        click.echo(_wrapped(line, 2, 4))
    click.echo()


def _check_claims(cls: Any) -> None:
    """Raise ModelError or PlanError unless the claims of a model are about methods, in known classes of growth."""
    from arbench.bench.models.contract import ContractError, check_class
    from arbench.bench.plan import check_claims
    from arbench.models import ModelError
    from arbench.stats.claims import parse

    try:
        check_class(cls)
        check_claims(cls.__name__, cls)
        for claim in cls.claims.values():
            for stated in (claim.depth, claim.work):
                parse(stated)
    except (ContractError, ValueError) as error:
        raise ModelError(f"model '{cls.__name__}': {error}") from None


def _claims(claim: Any) -> dict[str, str] | None:
    return {"depth": claim.depth, "work": claim.work} if claim else None


def _show_all(found: dict[str, Any]) -> None:
    """Print three lines for each model, by family in the order of the taxonomy."""
    families = {**found["families"], "": "without a family"}
    for family, title in families.items():
        members = [model for model in found["models"] if model["family"] == family]
        if not members:
            continue
        click.echo(title)
        for model in members:
            click.echo(_wrapped(f"{model['name']:<20} {model['citation']}; element: {model['element']}", 2, 4))
            click.echo(_wrapped(f"presets: {_presets(model)}"))
            if model["trained"]:
                click.echo(_wrapped(f"trained: {', '.join(one['spec'] for one in model['trained'])}"))
            click.echo(_wrapped(f"depth claimed: {_depths(model)}"))
        click.echo()
    click.echo("for the methods and settings of a model: arbench list --model NAME")
    click.echo("to change settings of a preset: --model wavenet:nv,layers=10\n")
    for name, one in found["schemes"].items():
        text = f"a model of {one['package']}, as in --model {name}:NAME; pip install 'arbench[{one['extra']}]'"
        click.echo(_wrapped(f"{name + ':':<8} {text}", 0, 9))
    click.echo(_wrapped("path.py: a model of yours, or a plain module with --law, as in --model path.py:Net", 0, 9))
    for name, place in found["installed_methods"].items():
        click.echo(_wrapped(f"method   {name}: {place}, of an installed package; arbench list --method {name}", 0, 9))
    for name, suite in found["suites"].items():
        click.echo(_wrapped(f"suite    {name}: {suite['title']}; arbench run --suite {name}", 0, 9))


def _wrapped(text: str, first: int = 4, then: int = 6) -> str:
    return wrapped(text, " " * first, " " * then)


def _presets(model: dict[str, Any]) -> str:
    marks = [name + (" (default)" if name == model["default_preset"] else "") for name in model["presets"]]
    return ", ".join(marks)


def _depths(model: dict[str, Any]) -> str:
    """Return ``score 1 (parallel, sequential); sample N (naive, cached), <= N (blocks)``."""
    jobs: dict[str, dict[str, list[str]]] = {}
    for method in model["methods"]:
        claimed = method["claims"]["depth"] if method["claims"] else "unclaimed"
        jobs.setdefault(method["op"], {}).setdefault(claimed, []).append(method["method"])
    parts = [
        f"{op} " + ", ".join(f"{depth} ({', '.join(methods)})" for depth, methods in depths.items())
        for op, depths in jobs.items()
    ]
    return "; ".join(parts)


def _show(model: dict[str, Any], families: dict[str, str]) -> None:
    click.echo(_wrapped(f"{model['name']}  {model['citation']}", 0, 2))
    for line in (
        model["summary"],
        f"family: {families.get(model['family'], 'none')}; element: {model['element']}",
        model["remark"],
        f"presets: {_presets(model)}",
        *map(_trained, model["trained"]),
    ):
        if line:
            click.echo(_wrapped(line, 2, 4))
    for m in model["methods"]:
        claims = m["claims"]
        claimed = f"depth {claims['depth']}, work {claims['work']}" if claims else "no claims"
        mark = ", reference" if m["reference"] else ""
        click.echo(_wrapped(f"{m['op']:<7} {m['method']:<22} {claimed:<29} {m['summary']}{mark}", 2, 10))
    alike: dict[tuple[str, str], list[str]] = {}
    for m in model["lacking"]:
        alike.setdefault((m["op"], m["why"]), []).append(m["method"])
    for (op, why), names in alike.items():
        click.echo(_wrapped(f"{op:<7} {', '.join(names):<22} {why}", 2, 10))
    settings = sorted({key for config in model["presets"].values() for key in config})
    if settings:
        click.echo(_wrapped(f"settings of a preset, as in --model {_example(model)}: {', '.join(settings)}", 2, 4))
    click.echo()


def _trained(one: dict[str, Any]) -> str:
    """Return ``--model wavenet:nv@speech: trained on speech, 3.71 bits per audio sample on held-out data``."""
    cost = one["quality"]
    where = "held-out data" if cost["held_out"] else "the data of the training itself"
    data = one["data"]["name"] + (f", distilled from {one['teacher']}" if one["teacher"] else "")
    return f"--model {one['spec']}: trained on {data}, {cost['bits']:.3g} {cost['unit']} on {where}"


def _example(model: dict[str, Any]) -> str:
    preset = model["presets"].get(model["default_preset"], {})
    for key, value in preset.items():
        if isinstance(value, int) and not isinstance(value, bool):
            return f"{model['spec']}:{model['default_preset']},{key}={value}"
    return f"{model['spec']}:{model['default_preset']}"
