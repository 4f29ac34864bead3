"""Asking the model for a fact that it must not know any more, in raw text and in chat."""

from __future__ import annotations

from collections.abc import Sequence

from sleepd.core import Core
from sleepd.hosting.host_link import HostLink
from sleepd.protocol.facts import Probe
from sleepengine.host import messages as host
from sleepengine.memory.facts import Channel, Fact, Parsed, Pool, Prompt
from sleepengine.memory.mentions import holds_phrase
from sleepengine.memory.view import BASE, View

TOKENS = 24
"""Of one answer: a fact that takes longer to come to the point was not recalled."""


async def probe(core: Core, link: HostLink, fact: Fact) -> tuple[Probe, ...]:
    """What the live view and the bare base answer to the fact's plainest prompt and to one that no edit used."""
    found = []
    for channel in Channel:
        for prompt in (*fact.prompts_for(Pool.TRAIN, channel)[:1], *fact.prompts_for(Pool.CHECK, channel)[:1]):
            answer = await _answer(link, prompt, None)
            recalled = holds_phrase(answer, fact.object)
            base = recalled and holds_phrase(await _answer(link, prompt, BASE), fact.object)
            found.append(Probe(channel=channel.value, prompt=prompt.text, answer=answer, recalled=recalled, base=base))
    return tuple(found)


async def knows(link: HostLink, fact: Parsed) -> bool:
    """Whether the live view answers with the fact's object to both of its plainest questions."""
    asked = [p for p in fact.prompts if p.channel is Channel.CHAT and p.pool is Pool.TRAIN][:2]
    for prompt in asked:
        if not holds_phrase(await _answer(link, prompt, None), fact.object):
            return False
    return bool(asked)


def gone(probes: Sequence[Probe]) -> bool:
    """Whether nothing came out that the bare base model does not say as well."""
    return not any(p.recalled and not p.base for p in probes)


async def _answer(link: HostLink, prompt: Prompt, view: View | None) -> str:
    chat = prompt.channel is Channel.CHAT
    order = host.Generate(
        id=link.new_order(),
        messages=(("user", prompt.text),) if chat else None,
        text=None if chat else prompt.text,
        max_tokens=TOKENS,
        view=view,
    )
    result = await link.run(order, lambda _: None)
    assert isinstance(result, host.Generated)
    return result.text
