"""Causal language models of Hugging Face's transformers as models of arbench."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from arbench.adapters.hf import caches, tokens
from arbench.adapters.hf.caches import State
from arbench.adapters.hf.claims import MIXED, claims_of
from arbench.adapters.hf.configs import configuration, shorter
from arbench.adapters.hf.exact import at_least
from arbench.adapters.hf.generate import ASSISTED, GENERATE
from arbench.adapters.hf.narrow import narrowed
from arbench.adapters.hf.networks import network_of, numbers_of
from arbench.adapters.hf.package import transformers
from arbench.adapters.hf.presets import Presets, label, weight_files
from arbench.border.shown import Shown
from arbench.border.suggest import did_you_mean
from arbench.distributions import Categorical
from arbench.methods import Method
from arbench.models import Context, ModelError, Source

DRAFT_SHARE = 4
"""Factor by which a draft has fewer layers."""
LADDER = (8, 16, 32, 64, 128)
"""Sizes to measure where the noise of a draw is one number for each of thousands of tokens."""
OWN = ("of", "prompt", "cache", "positions", "draft")
"""Settings of ours, which are no fields of a configuration."""
PROMPT = "prompt"
"""Name of the conditioning."""
POSITIONS = ("model", "passed")
"""Sources of positions: the model derives them from its cache, or ``extend`` passes them."""


class CausalLM(Source):
    """An element is a token of the model's vocabulary; N steps over the package's own cache.

    A begin token (``bos_token_id`` where the vocabulary has it, else 0) precedes the first element, and the logits are
    those of a prefill, shifted by one. No token ends an event early: N tokens are drawn. A prompt is conditioning: P
    tokens between the begin token and the first element, which the first step reads in one pass. So N counts the tokens
    after it.

    Args:
        of: name of an architecture, whose default configuration is meant; or a local folder with ``config.json`` and
            weights as safetensors; or a configuration file. Without a file of weights they are random.
        prompt: number of tokens of the prompt, P.
        cache: "dynamic" or "static", the package's ``DynamicCache`` or ``StaticCache``.
        positions: "model" leaves positions to the model, "passed" passes them to every step.
        draft: name or path of the model that guesses; by default this one with a quarter of its layers.
        seed: seed of random weights.
        **fields: fields of the configuration, by the package's names.

    Raises:
        ValueError: a setting or a value does not fit; the message is one line.
    """

    element = "token"
    citation = "Wolf et al. 2020, arXiv:1910.03771"
    default_preset = "tiny"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = Presets()
    claims = MIXED
    prompt_length: int
    make: ClassVar[Callable[..., nn.Module] | None] = None
    """Function of the user's that makes the network, where ``adapted`` makes a class of one."""

    def __init__(
        self,
        *,
        of: str = "",
        prompt: int = 0,
        cache: str = "dynamic",
        positions: str = "model",
        draft: str | None = None,
        seed: int = 0,
        **fields: Any,
    ) -> None:
        super().__init__()
        for name, value, known in (("cache", cache, caches.KINDS), ("positions", positions, POSITIONS)):
            if value not in known:
                raise ValueError(f"the setting '{name}' is '{value}'; {did_you_mean(str(value), known)}")
        if type(prompt) is not int or prompt < 0:
            raise ValueError(f"prompt must be a number of tokens from 0 on, got {prompt!r:.40}")
        self.of, self.kind, self.passed = of, cache, positions == "passed"
        self.network = self._network(fields, seed)
        config = self.network.config.get_text_config(decoder=True)
        self.past = caches.argument(self.network)
        self.keeps_last = caches.takes(self.network, "logits_to_keep")
        object.__setattr__(self, "brings_weights", bool(self.of and weight_files(self.of)) or type(self).brings_weights)
        object.__setattr__(self, "steps", self.past is not None)  # what follows from the architecture, of each model
        begin = getattr(config, "bos_token_id", None)
        self.levels = int(config.vocab_size)
        self.begin = begin if type(begin) is int and 0 <= begin < self.levels else 0
        self.distribution = Categorical(self.levels)
        self.prompt_length = prompt
        self.alphabets = {PROMPT: self.levels} if prompt else {}
        most = getattr(config, "max_position_embeddings", None)
        self.longest_context = most if type(most) is int else None
        if self.longest_context is not None and prompt >= self.longest_context:
            raise ValueError(
                f"a prompt of {prompt:,} tokens leaves none of the {most:,} positions, max_position_embeddings; "
                "choose a shorter prompt"
            )
        self.ladder = _fitting(LADDER if self.levels > 256 else self.ladder, self.longest_context, prompt)
        begun = None if self.past is None else caches.begun(self.network, self.past, self.kind, 1)
        self.croppable = begun is not None and caches.can_crop(begun)
        self.recurrent = self.past is not None and caches.is_recurrent(begun)
        others = [one for one in caches.KINDS if one != cache and begun is not None and not self.recurrent]
        self.unchecked = [
            (f"the {one} cache", f"these are over the {cache} one", f"cache={one} behind the model") for one in others
        ]
        object.__setattr__(self, "claims", claims_of(config, begun, self.past is not None))

    def _network(self, fields: Mapping[str, Any], seed: int) -> Any:
        make = type(self).make
        if make is None:
            return network_of(self.of, fields, seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network: Any = make(**fields)
        network.generation_config = transformers().GenerationConfig()
        return network.eval()

    @classmethod
    def preset_name(cls, preset: str) -> str:
        """Return what results call a preset: a name, or the stem of a path and a digest of what it holds."""
        return preset if cls.make is not None else label(preset)

    @classmethod
    def own_methods(cls) -> Sequence[Method]:
        """Return the package's own loops."""
        return GENERATE, ASSISTED

    @classmethod
    def drafting(cls, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the model with a quarter of the layers, with the same weights where they are of a folder."""
        if cls.make is not None:
            return None
        ours = {name: value for name, value in config.items() if name in OWN and name not in ("of", "draft")}
        if (other := config.get("draft")) is not None:
            if str(other) not in cls.presets:
                raise ModelError(f"model 'hf:{config['of']}': no draft '{other}'")
            return _same_tokens(config, {**ours, **cls.presets[str(other)]}, str(other))
        how = {name: config[name] for name in ("attn_implementation",) if name in config}
        return {**ours, **how, "of": config["of"], **shorter(config["of"], _fields(config), DRAFT_SHARE)}

    @classmethod
    def numbers(cls, config: Mapping[str, Any], n: int) -> tuple[int, int] | None:
        """Return the numbers of weights and of the cache of an event, from shapes alone; None for a user's network."""
        if cls.make is not None or type(config.get("prompt", 0)) is not int:
            return None
        fields = {name: value for name, value in config.items() if name not in OWN}
        try:
            return numbers_of(config["of"], fields, config.get("prompt", 0) + n)
        except ValueError:  # building says what is wrong
            return None

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        found: torch.dtype = next(self.network.parameters()).dtype
        return found

    def schedule(self, n: int) -> Sequence[int]:
        """Return the bounds of the groups, one token each."""
        most, prompt = self.longest_context, self.prompt_length
        if most is not None and n > most - prompt:
            after = f" after a prompt of {prompt:,}" if prompt else ""
            raise ValueError(f"an event has at most {most - prompt} tokens{after}, max_position_embeddings; got {n}")
        return super().schedule(n)

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        """Return random tokens, or passages of the user's data; the first of them are the prompt, the conditioning."""
        prompt = self.prompt_length
        found = tokens.observed(prompt + n, rows, seed, self.levels, data)
        return found[:, prompt:], {PROMPT: found[:, :prompt]} if prompt else {}

    def encode(self, context: Context, n: int) -> Tensor | None:
        """Return the prompt (B, P), which the first step reads; None for none."""
        return context.get(PROMPT)

    @classmethod
    def load_data(cls, path: str, config: Mapping[str, Any]) -> Any:
        """Read the user's tokens, or text where the model's folder has a tokenizer."""
        of = config.get("of", "")
        return tokens.load(path, of, _tokens(config) if of else 2**63 - 1)

    def shown(self, x: Tensor) -> Sequence[Shown]:
        """Return events as text, where the model's folder has a tokenizer, else as numbers."""
        return tokens.shown(x, self.of)

    def _evaluated(self, ids: Tensor, **past: Any) -> Any:
        with at_least(self.dtype):
            return self.network(input_ids=ids, **past)

    def _read(self, f: Tensor, g0: int, g1: int, prompt: Tensor | None) -> Tensor:
        """Return the tokens that are read for elements g0 .. g1-1: those before them, from the begin token on at 0."""
        if g0:
            return f[:, g0 - 1 : g1 - 1]
        return torch.cat([self.before(len(f), prompt, f.device), f[:, : g1 - 1]], dim=1)

    def before(self, batch: int, prompt: Tensor | None, device: torch.device | str) -> Tensor:
        """Return the tokens (B, 1 + P) that precede the first element: the begin token, and the prompt."""
        begin = torch.full((batch, 1), self.begin, device=device)
        return begin if prompt is None else torch.cat([begin, prompt.to(device)], dim=1)

    def _kept(self, count: int, prompt: Tensor | None) -> dict[str, Any]:
        """Return what tells the package to compute the last logits alone: those of a prompt are of no use."""
        return {} if prompt is None or not self.keeps_last else {"logits_to_keep": count}

    def forward(self, f: Tensor, code: Tensor | None) -> Tensor:
        """Return the logits (B, N, V) of all elements: a prefill, which keeps no cache."""
        n = f.shape[1]
        logits: Tensor = self._evaluated(self._read(f, 0, n, code), use_cache=False, **self._kept(n, code)).logits
        return logits if code is None else logits[:, -n:]

    def narrowed(self) -> AbstractContextManager[int]:
        """Compute few logits of each element within the context; it yields how many, 0 where that is not possible."""
        return narrowed(self.network)

    def start(self, batch: int, n: int, code: Tensor | None) -> State:
        """Return an empty cache; there is none where the architecture has no cache."""
        most = self.prompt_length + n
        return State(None if self.past is None else caches.begun(self.network, self.past, self.kind, most), 0, code)

    def extend(self, state: State, f: Tensor, g0: int, g1: int) -> tuple[Tensor, State]:
        """Return the logits (B, g1 - g0, V) of elements g0 .. g1-1, and the cache with the tokens before them."""
        if self.past is None:  # the whole prefix again
            return self(f[:, :g1], state.prompt)[:, g0:g1], state
        if self.recurrent and g0 and g1 - g0 > 1:  # over several tokens the package begins with an empty state
            parts = []
            for g in range(g0, g1):
                logits, state = self.extend(state, f, g, g + 1)
                parts.append(logits)
            return torch.cat(parts, dim=1), state
        ids, read = self._read(f, g0, g1, state.prompt), self._held(g1)
        more: dict[str, Any] = {self.past: state.past, "use_cache": True}
        if self.passed:
            more["position_ids"] = torch.arange(read - ids.shape[1], read, device=f.device).expand(len(f), -1)
        found = self._evaluated(ids, **more, **self._kept(g1 - g0, state.prompt))
        past = state.past if self.past in caches.OBJECTS and state.past is not None else getattr(found, self.past)
        logits = found.logits if state.prompt is None else found.logits[:, g0 - g1 :]
        return logits, State(past, read, state.prompt)

    def _held(self, g: int) -> int:
        """Return how many tokens a cache at group ``g`` holds: the begin token, the prompt and the elements before."""
        return self.prompt_length + g if g else 0

    def mark(self, state: State, g: int) -> Any:
        """Return the position where the cache can be cut back to it, else a copy."""
        return g if self.croppable else super().mark(state, g)

    def rewind(self, state: State, mark: Any, f: Tensor, g: int) -> State:
        """Cut the cache back to group ``g`` where it can be, else extend the mark's copy."""
        if not self.croppable:
            found: State = super().rewind(state, mark, f, g)
            return found
        held = self._held(g)
        state.past.crop(held - state.read) if held < state.read else None
        return State(state.past, held, state.prompt)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Convert weights; tables that the package makes in float32, such as angles, do not become half precision."""
        tables = [
            (part, name, one)
            for part in self.network.modules()
            for name, one in part._buffers.items()
            if one is not None and name in part._non_persistent_buffers_set and one.dtype == torch.float32
        ]
        super()._apply(fn, recurse)
        for part, name, one in tables:
            if (now := part._buffers[name]) is not None and now.dtype in (torch.float16, torch.bfloat16):
                part._buffers[name] = one.to(now.device)
        return self


def _fitting(ladder: Sequence[int], most: int | None, prompt: int) -> Sequence[int]:
    """Return sizes that fit between a prompt and the last position: these, or else the halves of the largest."""
    left = max(ladder) if most is None else most - prompt
    if left >= max(ladder):
        return ladder
    return sorted({max(left >> halved, 1) for halved in range(len(ladder))})


def _fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the package's configuration among the settings of a model."""
    return {name: value for name, value in config.items() if name not in (*OWN, "attn_implementation")}


def _tokens(config: Mapping[str, Any]) -> int:
    """Return the size of the vocabulary of a model with some settings."""
    return int(configuration(config["of"], _fields(config)).get_text_config(decoder=True).vocab_size)


def _same_tokens(config: Mapping[str, Any], draft: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the settings of a draft. Raises ModelError if its vocabulary is another."""
    mine, other = _tokens(config), _tokens(draft)
    if mine != other:
        raise ModelError(f"model 'hf:{config['of']}': the draft '{name}' has {other} tokens, the model {mine}")
    return draft
