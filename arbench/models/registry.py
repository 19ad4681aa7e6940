"""Models by the name a user types: built in, from other packages, from the user's own files."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from arbench.backends import MODEL_BACKENDS, current
from arbench.border.naming import model_name, parts_of, split_spec, split_weights
from arbench.border.suggest import did_you_mean
from arbench.distributions import Distribution
from arbench.models.base import Source
from arbench.models.weights import (
    NoWeightsError,
    Trained,
    WeightsError,
    candidates,
    differences,
    draft_for,
    in_words,
    load,
)
from arbench.own import beside
from arbench.own.named import NamedError, named
from arbench.own.raised import one_line
from arbench.own.settings import settings_of

BUILT_IN = {
    "wavenet": "arbench.models.wavenet:WaveNet",
    "pixelcnn": "arbench.models.pixelcnn:PixelCNN",
    "pixelcnnpp": "arbench.models.pixelcnnpp:PixelCNNpp",
    "pixelsnail": "arbench.models.pixelsnail:PixelSNAIL",
    "parallel_wavenet": "arbench.models.parallel_wavenet:ParallelWaveNet",
    "factorised": "arbench.models.factorised:Factorised",
    "grouped_pixelcnn": "arbench.models.grouped_pixelcnn:GroupedPixelCNN",
    "multiscale_pixelcnn": "arbench.models.multiscale_pixelcnn:MultiscalePixelCNN",
    "made": "arbench.models.made:MADE",
    "maf": "arbench.models.maf:MAF",
    "iaf": "arbench.models.iaf:IAF",
    "nmt_teacher": "arbench.models.nmt_teacher:NMTTeacher",
    "parallel_nmt": "arbench.models.parallel_nmt:ParallelNMT",
    "transformer": "arbench.models.transformer:Transformer",
    "row_lstm": "arbench.models.row_lstm:RowLSTM",
    "lstm": "arbench.models.lstm:LSTM",
    "seq2seq": "arbench.models.seq2seq:Seq2Seq",
    "mingru": "arbench.models.mingru:MinGRU",
}
"""Class of each built-in model, by name; other packages add entry points of the group ``arbench.models``."""
SCHEMES = {
    "hf": "arbench.adapters.hf.model:CausalLM",
    "zuko": "arbench.adapters.flows.zuko:Zuko",
    "nflows": "arbench.adapters.flows.nflows:NFlows",
}
"""Class of the models of each package of other people, by the name before the colon, as in ``hf:gpt2``; its presets are
what that package, or a file of the user's, calls a model."""
EXTRAS = {"hf": ("transformers", "hf"), "zuko": ("zuko", "flows"), "nflows": ("nflows", "flows")}
"""The package that each of them needs, and the extra of arbench that installs it."""
GIVEN: dict[str, Any] = {}
"""Classes, modules and functions that the user passed to a function itself, by the name of the model; and what is
``Chosen`` already."""
_TEXTS = ("element", "family", "remark", "citation")
_RATES = (1e-9, 1e15)
"""Bounds of what results store as a rate."""


class ModelError(Exception):
    """Unusable model; the message is one line for the user."""


class NoModelError(ModelError):
    """Model, file, class or preset that does not exist, as opposed to one that is broken."""


@dataclass(frozen=True)
class Chosen:
    """A model's class and configuration, ready to be built."""

    spec: str
    """Specification that ``resolve`` accepts: NAME:PRESET, path.py:Class:PRESET or package.module:Class:PRESET, with
    @WEIGHTS behind it where trained weights are named."""
    name: str
    preset: str
    """Preset as results name it: with its settings, and with @NAME behind it where the weights are trained."""
    cls: type[Source]
    config: Mapping[str, Any]
    trained: Trained | None = None
    """The trained weights; None for random ones."""

    @property
    def checkpoint(self) -> Path | None:
        """The file of the trained weights; None for random ones."""
        return self.trained.path if self.trained is not None else None

    def trained_draft(self) -> Trained | None:
        """Return the trained weights of the draft; None where there are none, or no draft.

        Raises:
            WeightsError: a file beside the model's weights is no checkpoint.
        """
        smaller = self.cls.drafting(self.config)
        if self.trained is None or smaller is None:
            return None
        return draft_for(self.trained, lambda said: not differences(self.cls, smaller, said))

    def build(
        self,
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        weights: Path | None = None,
        backend: str = "eager",
    ) -> Source:
        """Build the model in evaluation mode, with its draft where the distribution is finite.

        Args:
            seed: seed of random weights, which are made in float32 on the host whatever the dtype, so that
                models of several dtypes are roundings of one.
            dtype: dtype of the weights.
            device: device of the weights.
            weights: safetensors file to read instead.
            backend: backend of the kernels, see ``Source.use``.

        Raises:
            WeightsError: the weights file is unreadable or belongs to another model.
            ModelError: there is no such backend, it does not run on the device, a setting is invalid, or the weights
                are given twice.
        """
        if weights is not None and self.trained is not None:
            raise ModelError(
                f"model '{self.spec}' names its weights, and the weights {weights} are given too; leave out one of them"
            )
        weights = weights or self.checkpoint
        backend = current(backend)
        _can_run(backend, torch.device(device))
        model = self._made(self.config, seed)
        if not isinstance(getattr(model, "distribution", None), Distribution):
            raise ModelError(
                f"model '{self.name}:{self.preset}': its __init__ sets no self.distribution; "
                "set one of arbench.distributions, such as Categorical(16)"
            )
        _check_facts(model, f"{self.name}:{self.preset}")
        smaller = self.cls.drafting(self.config) if model.distribution.finite else None
        if weights is not None:
            load(model, weights, dtype)
        model = model.to(device, dtype).eval().requires_grad_(False)
        if smaller is not None:
            draft = self._drafted(smaller, seed + 1)
            if (guesses := self.trained_draft()) is not None:
                load(draft, guesses.path, dtype)
            draft = draft.to(device, dtype).eval().requires_grad_(False)
            object.__setattr__(model, "draft", draft)  # set past nn.Module, so that its weights are not the model's
        return model.use(backend)

    def _made(self, config: Mapping[str, Any], seed: int) -> Source:
        try:
            return self.cls(**{**config, "seed": seed})
        except ModelError as error:
            raise ModelError(f"model '{self.name}:{self.preset}': {error}") from None
        except Exception as error:  # with settings of the user's, PyTorch and Python may refuse in any way
            if "," not in self.preset and type(self.cls.presets) is dict:
                raise  # a fault of the preset, not of the user's settings
            raise ModelError(f"model '{self.name}:{self.preset}': {self._what(error)}") from None

    def _drafted(self, smaller: Mapping[str, Any], seed: int) -> Source:
        """Return the draft, from its settings. Raises ModelError, which says that it is the draft that fails."""
        try:
            return self.cls(**{**smaller, "seed": seed})
        except Exception as error:  # the smallest sizes may be refused in any way
            other = ", ".join(f"{name}={value}" for name, value in smaller.items() if self.config.get(name) != value)
            todo = "larger settings, of which a smaller model can be built"
            if "draft" in inspect.signature(self.cls.__init__).parameters:
                todo += ", or the name of another draft, as draft=NAME"
            elif not self.cls.__module__.startswith("arbench."):
                todo += ", or let drafting return None"
            raise ModelError(
                f"model '{self.name}:{self.preset}' can be built, and its draft cannot, the smaller model with "
                f"{other or 'the same settings'} that guesses ahead in speculative sampling ({self._what(error)}); "
                f"choose {todo}"
            ) from None

    def _what(self, error: Exception) -> str:
        """Return an exception of the model's class on one line; with its place where that is code of the user's."""
        if isinstance(error, ModelError) or self.cls.__module__.startswith("arbench."):
            return " ".join(str(error).split())
        return one_line(error)


def _can_run(backend: str, device: torch.device) -> None:
    if backend not in MODEL_BACKENDS:
        raise ModelError(f"unknown backend '{backend}'; {did_you_mean(backend, MODEL_BACKENDS)}")
    if backend == "numba" and device.type != "cpu":
        raise ModelError(f"backend 'numba' needs the CPU; the model is on {device}")
    if backend == "triton":
        from arbench.kernels.core.launch import runs_on

        if not runs_on(device):
            raise ModelError(f"backend 'triton' needs a GPU; the model is on {device}")


def names() -> dict[str, str]:
    """Return the import path of each named model's class, by name."""
    found = {e.name: e.value for e in entry_points(group="arbench.models")}
    return {**found, **BUILT_IN}


def resolve(spec: str) -> Chosen:
    """Find a model by NAME[:PRESET], path.py:Class[:PRESET] or package.module:Class[:PRESET].

    Settings after the preset override its configuration: ``wavenet:nv,layers=10,kernel=3``; without a preset they
    follow the class, ``path.py:Class,layers=10``. Trained weights follow an at sign: ``wavenet:nv@speech`` that ship,
    ``wavenet:nv@path/to/folder`` those of the user. Without a preset, ``wavenet@speech``, that of the trained weights
    is meant. A class that is no ``Source`` is adapted, see ``arbench.adapters``, and so is a module, or a function that
    returns one.

    Raises:
        ModelError: there is no such model, class, preset, setting or trained weights, or the weights are of another
            configuration; the message suggests a close name.
    """
    model, weights = split_weights(spec)
    place, _, preset = model.partition(":")
    if isinstance(GIVEN.get(place), Chosen):
        return GIVEN[place]
    path = None if place in GIVEN else BUILT_IN.get(place) or names().get(place)
    if place in GIVEN:
        name, cls = place, _class_of(GIVEN[place], spec, place, preset)
    elif place in SCHEMES:
        _adapters().needed(*EXTRAS[place], spec)
        name, cls = place, _import(SCHEMES[place], spec, importlib.import_module)
    elif path is not None:
        name, cls = place, _import(path, spec, importlib.import_module)
    elif place.endswith(".py") or "." in place:
        _, attribute, preset = split_spec(model)
        if not attribute:
            raise ModelError(f"model '{spec}' names no class; add one, as in {place}:MyModel")
        name, cls = model_name(place, attribute), _import(f"{place}:{attribute}", spec, preset=preset)
        place = f"{place}:{attribute}"
    else:
        raise NoModelError(f"unknown model '{place}'; {did_you_mean(place, [*names(), *SCHEMES])}")
    if weights is None:
        return _chosen(place, name, cls, preset)
    return _with_weights(weights, place, name, cls, preset)


def _with_weights(weights: str, place: str, name: str, cls: type[Source], preset: str) -> Chosen:
    """Return a class with a preset and the trained weights of the same configuration. Raises ModelError if none are."""
    try:
        known = candidates(name, cls, weights)
    except WeightsError as error:
        raise (NoModelError if isinstance(error, NoWeightsError) else ModelError)(str(error)) from None
    presets = list(dict.fromkeys([preset] if preset else [one.said.preset for one in known]))
    if len(presets) > 1:
        several = " or ".join(f"{place}:{one}@{weights}" for one in presets)
        raise ModelError(f"model '{name}' has several trained weights '{weights}'; type {several}")
    chosen = _chosen(place, name, cls, presets[0])
    for one in known:
        if not differences(cls, chosen.config, one.said):
            return replace(chosen, spec=f"{chosen.spec}@{weights}", preset=f"{chosen.preset}@{one.name}", trained=one)
    said, todo = known[0].said, "the preset has changed since, so train it again"
    with suppress(ModelError):  # the preset is gone
        if not differences(cls, _chosen(place, name, cls, said.preset).config, said):
            todo = f"type {place}:{said.preset}@{weights}"
    what = in_words(differences(cls, chosen.config, said))
    raise ModelError(f"model '{name}:{chosen.preset}@{weights}': {what}; {todo}")


def may_own_methods(spec: str) -> bool:
    """Return whether a model may have methods that others have not, which is known once it is imported."""
    return split_weights(spec)[0].partition(":")[0] not in BUILT_IN


def of_class(cls: Any) -> Chosen:
    """Return a class that the user passed, with its default preset.

    Raises:
        ModelError: no model can be built of it.
    """
    called = title(cls)
    return _chosen(called, called, given_class(cls), "")


def given_class(found: Any, law: str | None = None) -> type[Source]:
    """Return the class of a model that the user passed: a subclass of ``Source``, or what makes one of an object.

    Args:
        found: the class or object.
        law: the law of an element, for a module.

    Raises:
        ModelError: there is none.
    """
    called = title(found)
    return _class_of(found, called, called, "" if law is None else f",law={law}")


def title(found: Any) -> str:
    """Return the name of a class or function, or that of the class of a module."""
    named = type(found) if isinstance(found, torch.nn.Module) else found
    return str(getattr(named, "__name__", repr(found)))


def _chosen(place: str, name: str, cls: type[Source], preset: str) -> Chosen:
    """Return a class with the settings that PRESET[,KEY=VALUE...] means. Raises ModelError if there are no such."""
    preset, _, overrides = preset.partition(",")
    _check_presets(name, cls)
    preset = preset or (cls.default_preset if cls.default_preset in cls.presets else next(iter(cls.presets)))
    if preset not in cls.presets:
        raise NoModelError(f"model '{name}' has no preset '{preset}'; {did_you_mean(preset, cls.presets)}")
    config, called = dict(cls.presets[preset]), cls.preset_name(preset)
    if overrides:
        config |= _overrides(overrides, cls, name)
        preset, called = f"{preset},{overrides}", f"{called},{overrides}"
    return Chosen(f"{place}:{preset}", name, called, cls, config)


def _check_presets(name: str, cls: type[Source]) -> None:
    """Raise ModelError if a class has no presets, or its constructor does not take what builds a model."""
    presets: object = cls.presets
    known = isinstance(presets, Mapping) and all(isinstance(config, Mapping) for config in presets.values())
    if not known or not presets:
        raise NoModelError(
            f"model '{name}' has no presets; define settings by name in the class, such as presets = {{'tiny': {{}}}}"
        )
    takes = inspect.signature(cls.__init__).parameters
    if "seed" not in takes and all(one.kind is not inspect.Parameter.VAR_KEYWORD for one in takes.values()):
        raise ModelError(f"model '{name}': its __init__ takes no seed; add seed=0, the seed of random weights")


def _overrides(text: str, cls: type[Source], name: str) -> dict[str, Any]:
    """Parse KEY=VALUE[,KEY=VALUE...], where a value is TOML or else a string. Raise ModelError if invalid."""
    takes = inspect.signature(cls.__init__).parameters
    if "law" not in takes and any(part.partition("=")[0].strip() == "law" for part in parts_of(text)):
        raise ModelError(f"model '{name}' has its own law of an element; leave out --law")
    anything = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in takes.values())  # the constructor judges
    known = [key for key in takes if key not in ("self", "seed")]
    try:
        return settings_of(text, None if anything else known)
    except ValueError as error:
        raise ModelError(f"model '{name}'{error}") from None


def _import(
    place: str, spec: str, import_module: Callable[[str], ModuleType] = beside.import_module, preset: str = ""
) -> type[Source]:
    where, _, attribute = place.rpartition(":")
    try:
        with torch.random.fork_rng(devices=[]):  # a module that the file makes has the same weights in every process
            torch.manual_seed(0)
            found = named(where, attribute, _is_offered, "Class", import_module)
    except NamedError as error:
        raise (NoModelError if error.absent else ModelError)(f"model '{spec}': {error}") from error
    return _class_of(found, spec, attribute, preset)


def _class_of(found: Any, spec: str, attribute: str, preset: str) -> type[Source]:
    """Return the class of a model that the user named or passed. Raises ModelError if there is none.

    Args:
        found: the class, or an object that ``arbench.adapters`` makes one of.
        spec: what the user calls the model, for messages.
        attribute: the name of the class or object.
        preset: the preset with its settings, of which an object that is adapted needs some.
    """
    if isinstance(found, Source) or _is_model(found):
        return usable(found, spec, attribute)
    text = preset.partition(",")[2]
    try:
        settings = settings_of(text) if text else {}
    except ValueError as error:
        raise ModelError(f"model '{spec}'{error}") from None
    return usable(_adapters().adapted(found, spec, settings.pop("law", None), settings), spec, attribute)


def _adapters() -> ModuleType:
    """Return the room of other people's models, which stands above this one, where such a model is named."""
    return importlib.import_module("arbench.adapters")


def _is_offered(value: Any) -> bool:
    """Return whether an object of a user's file may be a model, to be suggested: a ``Source`` or a module."""
    kind = value if inspect.isclass(value) else type(value)
    return _is_model(value) or (issubclass(kind, torch.nn.Module) and not kind.__module__.startswith("torch."))


def _is_model(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, Source)


def usable(cls: Any, spec: str, attribute: str) -> type[Source]:
    """Return a class if a model can be built of it.

    Args:
        cls: what the user named or passed.
        spec: what the user calls the model, for the message.
        attribute: the name of the class.

    Raises:
        ModelError: it is not a subclass of ``Source``, does not define all of its methods, or says of itself what
            results cannot store.
    """
    if not (inspect.isclass(cls) and issubclass(cls, Source)):
        raise ModelError(f"model '{spec}': {attribute} is not a subclass of arbench.models.Source")
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(cls.__abstractmethods__))
        raise ModelError(f"model '{spec}': {attribute} does not define {missing}")
    _check_facts(cls, spec)
    return cls


def _check_facts(model: type[Source] | Source, spec: str) -> None:
    """Check what a class or a model of it says of itself; raise ModelError if results cannot store it."""
    for name in _TEXTS:
        value = getattr(model, name)
        if not isinstance(value, str | property):
            raise ModelError(f"model '{spec}': its {name} is {value!r:.40}; give it a text")
    rate = model.rate_hz
    if rate is None or isinstance(rate, property):
        return
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not _RATES[0] <= rate <= _RATES[1]:
        raise ModelError(
            f"model '{spec}': its rate_hz is {rate!r:.40}; give the elements per second as a positive number, or None"
        )
