"""Language models of transformers as people write them, each with a fault; a function returns each."""

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, MambaConfig, MambaForCausalLM


def past_of(more):
    """Return the cache among the arguments of ``forward``, whose name differs between versions of the package."""
    return next(
        (more[name] for name in ("cache", "past_key_values", "cache_params") if more.get(name) is not None), None
    )


def gpt2(cls=GPT2LMHeadModel, vocab=300):
    return cls(GPT2Config(vocab_size=vocab, n_embd=16, n_layer=1, n_head=2, n_positions=256))


def llama(cls=LlamaForCausalLM):
    sizes = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2)
    return cls(LlamaConfig(vocab_size=300, num_key_value_heads=1, max_position_embeddings=256, **sizes))


def sound():
    return gpt2()


class Leaking(GPT2LMHeadModel):
    def forward(self, input_ids=None, **more):
        found = super().forward(input_ids=input_ids, **more)
        found.logits[:, :-1] += 0.01 * found.logits[:, 1:].clone()
        return found


def leaks():
    """Let each token see a little of the next."""
    return gpt2(Leaking)


class RareLeak(GPT2LMHeadModel):
    def forward(self, input_ids=None, **more):
        found = super().forward(input_ids=input_ids, **more)
        rare = (input_ids * 7919 + 13) % 50021 == 17
        found.logits[:, :-1] *= 1 + 0.01 * rare[:, 1:].flip(1).cumsum(1).flip(1).unsqueeze(-1)
        return found


def rare_leaks():
    """Leak for one token of 50,257, which no line names."""
    return gpt2(RareLeak, 50257)


class NearRareLeak(GPT2LMHeadModel):
    def forward(self, input_ids=None, **more):
        found = super().forward(input_ids=input_ids, **more)
        rare = (input_ids * 7919 + 13) % 50021 == 17
        found.logits[:, :-1] *= 1 + 0.01 * rare[:, 1:].unsqueeze(-1)
        return found


def rare_leaks_near():
    """Leak for one token of 50,257 to the token before it alone."""
    return gpt2(NearRareLeak, 50257)


class FarLeak(GPT2LMHeadModel):
    def forward(self, input_ids=None, **more):
        found = super().forward(input_ids=input_ids, **more)
        found.logits[:, 65:-1] += 0.01 * found.logits[:, 66:].clone()
        return found


def far_leaks():
    """Leak from position 65 on alone."""
    return gpt2(FarLeak)


class Positions(GPT2LMHeadModel):
    after = 0

    def forward(self, input_ids=None, position_ids=None, **more):
        past = past_of(more)
        read = past.get_seq_length() if past is not None else 0
        if position_ids is None:
            position_ids = torch.arange(read, read + input_ids.shape[1])[None] + int(read > self.after)
        return super().forward(input_ids, position_ids=position_ids, **more)


def drifts():
    """Count positions one too far behind a cache; the mask is right."""
    return gpt2(Positions)


class NamedPositions(GPT2LMHeadModel):  # names the cache as older versions of the package do
    def forward(self, input_ids=None, past_key_values=None, position_ids=None, **more):
        if past_key_values is not None and (held := past_key_values.get_seq_length()):
            position_ids = torch.arange(held, held + input_ids.shape[1])[None] + 1
        return super().forward(input_ids, past_key_values=past_key_values, position_ids=position_ids, **more)


def drifts_by_name():
    return gpt2(NamedPositions)


class LatePositions(Positions):
    after = 40


def drifts_late():
    """Count them so behind a cache of more than 40 tokens."""
    return gpt2(LatePositions)


class LaterPositions(Positions):
    after = 100


def drifts_later():
    """Count them so behind a cache of more than 100 tokens."""
    return gpt2(LaterPositions)


class StaticPositions(Positions):
    def forward(self, input_ids=None, **more):
        one = Positions if type(past_of(more)).__name__ == "StaticCache" else GPT2LMHeadModel
        return one.forward(self, input_ids, **more)


def drifts_if_static():
    """Count them so behind a static cache."""
    return gpt2(StaticPositions)


class Forgetting(LlamaForCausalLM):
    def forward(self, input_ids=None, **more):
        past = past_of(more)
        if past is not None and past.get_seq_length() == 40:
            for one in past.layers:
                one.keys[:, :, 0] = one.values[:, :, 0] = 0
        return super().forward(input_ids, **more)


def forgets():
    """Forget the oldest token once the cache holds 40."""
    return llama(Forgetting)


class Coarse(LlamaForCausalLM):
    def forward(self, input_ids=None, **more):
        found = super().forward(input_ids, **more)
        for one in past_of(more).layers if past_of(more) is not None else ():
            one.keys = one.keys.bfloat16().to(one.keys.dtype)
        return found


def coarse():
    """Keep the keys in half precision."""
    return llama(Coarse)


class Rows(LlamaForCausalLM):
    def forward(self, input_ids=None, **more):
        found = super().forward(input_ids, **more)
        found.logits = found.logits + 0.01 * (found.logits.cumsum(0) - found.logits)
        return found


def mixes_rows():
    """Add a little of the rows before it to a row."""
    return llama(Rows)


class Fading(MambaForCausalLM):
    def forward(self, input_ids=None, **more):
        found = super().forward(input_ids, **more)
        past = past_of(more)
        for one in past.layers if past is not None and input_ids.shape[1] == 1 else ():
            for state in one.recurrent_states.values():
                state *= 0.999
        return found


def fades():
    """Let the state of a recurrent layer fade with every step."""
    return Fading(MambaConfig(vocab_size=300, hidden_size=16, num_hidden_layers=1, state_size=4))
