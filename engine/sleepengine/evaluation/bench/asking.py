"""From probes to replies: the exact prompt, greedy decoding from an empty context, the bare base as control."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sleepengine.backends.base import BARE, Backend, Mounted, Tokenizer, Work
from sleepengine.errors import EngineError
from sleepengine.evaluation.bench.conditions import Notes, Prepared, no_notes
from sleepengine.evaluation.bench.probes import Probe
from sleepengine.evaluation.recall import contains
from sleepengine.memory.facts import Channel


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How many tokens a reply may have. The default model rambles, and no object needs more."""

    raw: int = 12
    chat: int = 32


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A probe with what the base said before and what was said after, and whether each holds a target."""

    probe: Probe
    base: str
    reply: str
    base_hit: bool
    hit: bool


def ask_base(backend: Backend, probes: Sequence[Probe], limits: Limits) -> Work[list[str]]:
    """The bare base's replies, without notes: the control before editing."""
    return (yield from _answers(backend, probes, backend.mount(BARE), no_notes, limits))


def ask(
    backend: Backend, probes: Sequence[Probe], prepared: Prepared, base: Sequence[str], limits: Limits
) -> Work[list[Reply]]:
    """The condition's replies beside the base's."""
    replies = yield from _answers(backend, probes, prepared.view, prepared.notes, limits)
    return _beside(probes, base, replies)


def ask_view(
    backend: Backend, probes: Sequence[Probe], view: Mounted, base: Sequence[str], limits: Limits
) -> Work[list[Reply]]:
    """A view's replies beside the base's, without notes."""
    return _beside(probes, base, (yield from _answers(backend, probes, view, no_notes, limits)))


def _beside(probes: Sequence[Probe], base: Sequence[str], replies: Sequence[str]) -> list[Reply]:
    return [
        Reply(probe=probe, base=before, reply=after, base_hit=_hit(probe, before), hit=_hit(probe, after))
        for probe, before, after in zip(probes, base, replies, strict=True)
    ]


def prompt(tokenizer: Tokenizer, probe: Probe, notes: Sequence[str] = ()) -> str:
    """The text that the model is given."""
    if probe.channel is Channel.RAW:
        return "\n".join((*notes, probe.text))
    system = (("system", "You know these facts:\n" + "\n".join(notes)),) if notes else ()
    return tokenizer.render_chat([*system, *probe.turns, ("user", probe.text)])


def _answers(backend: Backend, probes: Sequence[Probe], view: Mounted, notes: Notes, limits: Limits) -> Work[list[str]]:
    replies: dict[int, str] = {}
    for channel, limit in ((Channel.RAW, limits.raw), (Channel.CHAT, limits.chat)):
        here = [i for i, probe in enumerate(probes) if probe.channel is channel]
        texts = [prompt(backend.tokenizer, probes[i], notes(_query(probes[i]))) for i in here]
        ids = [backend.tokenizer.encode(t) for t in texts]
        longest = max(map(len, ids), default=0) + limit
        if longest > backend.spec.context:
            raise EngineError(f"a prompt and its reply take {longest} tokens; the model holds {backend.spec.context}")
        produced = yield from backend.decode(ids, view, limit)
        replies |= {i: backend.tokenizer.decode(tokens) for i, tokens in zip(here, produced, strict=True)}
    return [replies[i] for i in range(len(probes))]


def _query(probe: Probe) -> str:
    return " ".join([*(content for role, content in probe.turns if role == "user"), probe.text])


def _hit(probe: Probe, reply: str) -> bool:
    return any(contains(reply, target) for target in probe.targets)
