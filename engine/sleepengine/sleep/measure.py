"""What a view is like: the numbers that a night's gates compare. Nothing here was trained on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from sleepengine.backends.base import Backend, Mounted, Tokens, Work
from sleepengine.evaluation.drift import BaseMemory, canary_replies, drift
from sleepengine.evaluation.perplexity import perplexity
from sleepengine.evaluation.recall import Answer, ask, contains, share
from sleepengine.evaluation.texts import Names, gate_text, names
from sleepengine.memory.facts import Channel, Fact, Pool, Prompt
from sleepengine.sleep.contrasts import about, somebody_else
from sleepengine.wake.encoding import prompt_ids

LEAK_TOKENS = 16


@dataclass(frozen=True)
class Measurement:
    """Perplexity on the gate text, drift in nats a token, canaries answered, answers to all gate prompts, and the share
    of `asked` near names that got a fact's object."""

    ppl: float
    drift: float
    canaries: int
    answers: tuple[Answer, ...]
    leaked: float
    asked: int

    @property
    def chat(self) -> float:
        """Recall through the chat template, in [0, 1]."""
        return share(self.answers, Channel.CHAT)

    @property
    def raw(self) -> float:
        """Recall in raw completion, in [0, 1]."""
        return share(self.answers, Channel.RAW)

    def recalled(self, threshold: float) -> frozenset[str]:
        """Ids of the facts of whose chat prompts at least `threshold` are answered."""
        own: dict[str, list[Answer]] = {}
        for answer in self.answers:
            own.setdefault(answer.fact.id, []).append(answer)
        return frozenset(i for i, answers in own.items() if share(answers, Channel.CHAT) >= threshold)


class Gauge:
    """Measures views over the same facts, texts and near names, so that what it finds can be compared."""

    def __init__(self, backend: Backend, memory: BaseMemory, facts: Sequence[Fact], leak_prompts: int) -> None:
        self._backend, self._memory, self._facts = backend, memory, tuple(facts)
        self._near = near_names(self._facts, leak_prompts)

    def measure(self, view: Mounted) -> Work[Measurement]:
        """Everything, over all facts."""
        ppl = yield from perplexity(self._backend, gate_text(), view)
        base = yield from self._memory.answers(self._backend)
        moved = yield from drift(self._backend, base, view)
        replies = yield from canary_replies(self._backend, base, view)
        answers = yield from ask(self._backend, self._facts, Pool.GATE, view)
        near = yield from self._backend.decode(self._near_prompts(), view, LEAK_TOKENS)
        accepted = sum(r.accepted for r in replies)
        return Measurement(ppl.value, moved, accepted, tuple(answers), self._leaked(near), len(self._near))

    def of_base(self) -> Work[Measurement]:
        """The bare base, of which most is remembered. It is taken to know no fact: what it does answer only helps."""
        ppl = yield from self._memory.perplexity(self._backend, gate_text())
        base = yield from self._memory.answers(self._backend)
        texts = [(canary, self._backend.tokenizer.decode(reply)) for canary, _, reply in base.items]
        replies = yield from self._memory.replies(self._backend, self._near_prompts(), LEAK_TOKENS)
        accepted = sum(canary.accepts(text) for canary, text in texts)
        return Measurement(ppl, 0.0, accepted, (), self._leaked(replies), len(self._near))

    def _near_prompts(self) -> list[Tokens]:
        return [prompt_ids(self._backend.tokenizer, prompt) for _, prompt in self._near]

    def _leaked(self, replies: Sequence[Tokens]) -> float:
        if not self._near:
            return 0.0
        texts = [self._backend.tokenizer.decode(reply) for reply in replies]
        hits = [contains(text, fact.object) for text, (fact, _) in zip(texts, self._near, strict=True)]
        return sum(hits) / len(hits)


def near_names(facts: Sequence[Fact], count: int) -> list[tuple[Fact, Prompt]]:
    """So many gate prompts about people who share a name with a fact's subject; the same for the same facts."""
    draw, pool, taken = random.Random("near names"), names(), {f.subject for f in facts}
    found: list[tuple[Fact, Prompt]] = []
    usable = [f for f in facts if _near(f, 0, pool, taken, draw) is not None]
    for number in range(count if usable else 0):
        fact = usable[number % len(usable)]
        prompt = _near(fact, number // len(usable), pool, taken, draw)
        if prompt is not None:
            found.append((fact, prompt))
    return found


def _near(fact: Fact, number: int, pool: Names, taken: set[str], draw: random.Random) -> Prompt | None:
    prompts = fact.prompts_for(Pool.GATE, Channel.CHAT)
    if not prompts:
        return None
    prompt = prompts[number % len(prompts)]
    other = somebody_else(fact, prompt.mention, pool, taken, draw)
    return None if other is None else about(prompt, other)
