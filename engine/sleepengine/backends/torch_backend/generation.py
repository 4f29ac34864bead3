"""Continuing text: one conversation token by token, or many prompts greedily side by side."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from sleepengine.backends.base import Array, Injection, Sampling, Tokens, Work
from sleepengine.backends.gates import untouched
from sleepengine.backends.grouping import common_prefix
from sleepengine.backends.torch_backend.batches import Batch, KeyValues, pad
from sleepengine.backends.torch_backend.gating import values_of
from sleepengine.backends.torch_backend.patches import TorchView, Values

if TYPE_CHECKING:
    from sleepengine.backends.torch_backend.backend import TorchBackend

PREFILL_CHUNK = 128  # tokens a work item
KEPT_CONVERSATIONS = 4


@dataclass
class Conversation:
    """A KV cache and what it was computed from: which tokens, under which view, with no gated value in it.

    `states` holds what the view's gate reads of these tokens, (len(ids), width) for each of its layers.
    """

    ids: Tokens
    digest: str
    cache: DynamicCache
    states: dict[int, Array]


class Conversations:
    """The caches of the latest conversations."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Conversation] = OrderedDict()

    def resume(self, prompt: Tokens, session: str | None, digest: str, layers: Sequence[int] = ()) -> Conversation:
        """A conversation that knows the first n tokens of `prompt`, n from 0 on, and their states at `layers`, which a
        gate reads. Another view's cache is of no use."""
        kept = self._kept.pop(session, None) if session is not None else None
        if kept is None or kept.digest != digest:
            return Conversation((), digest, DynamicCache(), {})
        # The last prompt token is always run again: its logits are what generation starts from.
        known = common_prefix([kept.ids, prompt], limit=len(prompt) - 1)
        states = {layer: kept.states[layer][:known] for layer in layers if layer in kept.states}
        if known == 0 or [len(s) for s in states.values()] != [known] * len(layers):
            return Conversation((), digest, DynamicCache(), {})
        return Conversation(prompt[:known], digest, cropped(kept.cache, known), states)

    def keep(self, session: str, conversation: Conversation) -> None:
        """Remember a conversation's cache, forgetting the one unused for longest."""
        self._kept[session] = conversation
        self._kept.move_to_end(session)
        while len(self._kept) > KEPT_CONVERSATIONS:
            self._kept.popitem(last=False)


def stream(
    backend: TorchBackend,
    conversations: Conversations,
    prompt: Tokens,
    view: TorchView,
    sampling: Sampling,
    session: str | None,
    digest: str,
) -> Generator[int | None, None, str]:
    """See `Backend.stream`. Closing the generator early keeps what was computed."""
    talk = conversations.resume(prompt, session, digest, view.gate.layers if view.gate is not None else ())
    random = torch.Generator()
    if sampling.seed is None:
        random.seed()
    else:
        random.manual_seed(sampling.seed)
    try:
        while len(talk.ids) < len(prompt):
            piece = prompt[len(talk.ids) : len(talk.ids) + PREFILL_CHUNK]
            logits = extend(backend, piece, view, talk)
            if len(talk.ids) < len(prompt):
                yield None
        reply = talk
        if view.gate is not None and (fired := view.gate.decide(prompt, talk.states)):
            # Look back: the values belong to this answer alone, so what is kept of the conversation stays without.
            clean = untouched([fired], len(prompt) - 1)
            reply = Conversation(prompt[:clean], digest, cropped(talk.cache, clean), {})
            while len(reply.ids) < len(prompt):
                piece = prompt[len(reply.ids) : len(reply.ids) + PREFILL_CHUNK]
                logits = extend(backend, piece, view, reply, fired)
                if len(reply.ids) < len(prompt):
                    yield None
        held = None if sampling.schema is None else backend.constraint(sampling.schema, logits.shape[-1])
        for produced in range(sampling.max_tokens):
            if held is not None:
                logits = logits.masked_fill(~torch.from_numpy(held.allowed()).to(logits.device), -torch.inf)
            token = choose(logits, sampling.temperature, random)
            if token in backend.tokenizer.stop_ids:
                return "stop"
            yield token
            if held is not None:
                held.accept(token)
                if held.finished:
                    return "stop"
            if len(reply.ids) + 1 >= backend.spec.context or produced + 1 == sampling.max_tokens:
                break
            logits = extend(backend, (token,), view, reply)
        return "length"
    finally:
        if session is not None:
            conversations.keep(session, talk)


def cropped(cache: DynamicCache, length: int) -> DynamicCache:
    """A cache of its own that holds the first `length` tokens of another."""
    return KeyValues.of(cache, torch.ones(1, length, dtype=torch.long)).growing(length)


@torch.no_grad()
def extend(
    backend: TorchBackend, piece: Tokens, view: TorchView, talk: Conversation, fired: Sequence[Injection] = ()
) -> Tensor:
    """Run more tokens of one conversation, with those of the values `fired` that fall among them; returns the last
    position's logits (vocab,). The gate's readings are kept where the conversation is free of values."""
    known = len(talk.ids)
    ids = torch.tensor([piece], device=backend.device)
    positions = torch.arange(known, known + len(piece), device=backend.device)[None]
    last = torch.tensor([len(piece) - 1])
    here = [i for i in fired if known <= i.position < known + len(piece)]
    layers = view.gate.layers if view.gate is not None and not fired else ()
    with backend.patches.using(
        view, gather=(torch.zeros_like(last), last), observe=layers, values=values_of([here], [-known])
    ) as patches:
        logits: Tensor = backend.model(
            input_ids=ids, position_ids=positions, past_key_values=talk.cache, use_cache=True
        ).logits
        for layer in layers:
            fresh = patches.observed[layer][0].float().cpu().numpy()
            talk.states[layer] = np.concatenate([talk.states[layer], fresh]) if layer in talk.states else fresh
    talk.ids += piece
    return logits[0, 0]


def choose(logits: Tensor, temperature: float, random: torch.Generator) -> int:
    """Greedy at temperature 0, else a draw from the softmax; `logits` is (vocab,)."""
    if temperature <= 0.0 or not math.isfinite(temperature):
        return int(logits.argmax())
    probabilities = (logits.float().cpu() / temperature).softmax(dim=-1)
    return int(torch.multinomial(probabilities, 1, generator=random))


def decode_batch(
    backend: TorchBackend,
    prompts: Sequence[Tokens],
    view: TorchView,
    max_tokens: int,
    injections: Sequence[Sequence[Injection]],
) -> Work[list[Tokens]]:
    """Greedy continuations of one padded batch, up to a stop token each, each prompt with its gated values."""
    rows = len(prompts)
    shared = common_prefix(prompts, limit=untouched(injections, min(map(len, prompts)) - 1))
    if shared:
        past = backend.prefix([prompts[0][:shared]], view).expand(rows)
        cache = past.growing()
    else:
        nothing = torch.zeros(rows, 0, dtype=torch.long, device=backend.device)
        past, cache = KeyValues((), nothing, nothing.sum(dim=1)), DynamicCache()
    # Padding stands on the left, so that every row's next token is in the last column.
    batch = pad([p[shared:] for p in prompts], backend.device, left=True)
    values = values_of(injections, [shift - shared for shift in batch.shift])
    produced: list[list[int]] = [[] for _ in prompts]
    live = [True] * rows
    for _ in range(max_tokens):
        tokens = _next_tokens(backend, batch, past, view, cache, values)
        values = ()
        for row, token in enumerate(tokens):
            live[row] = live[row] and token not in backend.tokenizer.stop_ids
            if live[row]:
                produced[row].append(token)
        yield
        if not any(live):
            break
        mask = torch.cat([past.mask, batch.mask], dim=1)
        past = KeyValues((), mask, mask.sum(dim=1))
        ids = torch.tensor(tokens, device=backend.device)[:, None]
        batch = Batch(ids, torch.ones_like(ids), (0,) * rows)
    return [tuple(p) for p in produced]


@torch.no_grad()
def _next_tokens(
    backend: TorchBackend,
    batch: Batch,
    past: KeyValues,
    view: TorchView,
    cache: DynamicCache,
    values: tuple[Values, ...],
) -> list[int]:
    rows = torch.arange(batch.ids.shape[0])
    last = torch.full_like(rows, batch.ids.shape[1] - 1)
    logits = backend.forward(batch, view, past, cache, gather=(rows, last), values=values).logits[0]
    tokens: list[int] = logits.argmax(dim=-1).tolist()
    return tokens
