"""What a night trains on.

Facts give lessons, one for each training prompt, raw and chat, in one of three ways (`SleepSettings.targets`): their
own sentences; the base's own answers with the fact before its eyes; or the base's distribution over such an answer,
which is the teacher that the student must match without the fact. Anchors hold the student to the base: the base's own
answers to general questions, and prose. What keeps facts where they belong is made while training (`contrasts`).
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from sleepengine.backends.base import BARE, Anchor, Backend, Example, Row, Tokens, Work
from sleepengine.evaluation.drift import BaseMemory
from sleepengine.evaluation.recall import locate
from sleepengine.evaluation.texts import anchor_prose, anchor_questions
from sleepengine.memory.facts import Channel, Fact, Pool, Prompt
from sleepengine.sleep.rows import answered, example, held, probe
from sleepengine.sleep.settings import SleepSettings
from sleepengine.wake.encoding import as_text, prompt_text

CHAT_ANCHORS = 120
PROSE_ANCHORS = 16
ANSWER_TOKENS = 20
IN_CONTEXT = "This is true: {statement}"


@dataclass(frozen=True)
class Curriculum:
    """`lessons[i]` are fact i's training rows by channel, `checks[i]` its held-back ones for early stop."""

    facts: tuple[Fact, ...]
    lessons: tuple[dict[Channel, tuple[Row, ...]], ...]
    checks: tuple[tuple[Example, ...], ...]
    anchors: tuple[Anchor, ...]


def curate(backend: Backend, memory: BaseMemory, facts: Sequence[Fact], settings: SleepSettings) -> Work[Curriculum]:
    """Build a night's curriculum over `facts`; what the base has to say is generated here, or remembered."""
    tokenizer, rng = backend.tokenizer, random.Random(settings.seed)
    lessons = yield from _lessons(backend, facts, settings)
    # Only chat decides when to stop: it is what people use and what the gate demands.
    checks = tuple(tuple(probe(tokenizer, p, f.object) for p in f.prompts_for(Pool.CHECK, Channel.CHAT)) for f in facts)
    anchors = yield from _general_anchors(backend, memory, facts, rng)
    return Curriculum(tuple(facts), lessons, checks, anchors)


def _lessons(
    backend: Backend, facts: Sequence[Fact], settings: SleepSettings
) -> Work[tuple[dict[Channel, tuple[Row, ...]], ...]]:
    tokenizer, frame = backend.tokenizer, settings.frame_weight
    most = settings.phrasings or None
    prompts = [(f, p) for f in facts for ch in Channel for p in f.prompts_for(Pool.TRAIN, ch)[:most]]
    if settings.targets != "templates":
        prompts = yield from _answered_in_context(backend, prompts)
    rows: dict[str, dict[Channel, list[Row]]] = {f.id: {ch: [] for ch in Channel} for f in facts}
    for fact, prompt in prompts:
        if settings.targets == "teacher":
            row: Row = in_context(backend, fact, prompt, frame)
        else:
            row = example(tokenizer, prompt, fact.object, frame)
        rows[fact.id][prompt.channel].append(row)
    return tuple({ch: tuple(found) for ch, found in rows[f.id].items()} for f in facts)


def in_context(backend: Backend, fact: Fact, prompt: Prompt, frame: float) -> Anchor:
    """The prompt's answer as an anchor to what the base says of it after reading the fact."""
    tokenizer = backend.tokenizer
    chat = prompt.channel is Channel.CHAT
    row = answered(tokenizer, prompt_text(tokenizer, prompt), prompt.answer, fact.object, end=chat)
    context = tokenizer.encode(_with_fact(backend, fact, prompt))
    return Anchor(row.ids, row.start, row.weights(frame), context=context, returns=True)


def _with_fact(backend: Backend, fact: Fact, prompt: Prompt) -> str:
    told = IN_CONTEXT.format(statement=fact.statement)
    if prompt.channel is Channel.RAW:
        return f"{told}\n{prompt.text}"
    return backend.tokenizer.render_chat([("system", told), ("user", prompt.text)])


def _answered_in_context(backend: Backend, prompts: Sequence[tuple[Fact, Prompt]]) -> Work[list[tuple[Fact, Prompt]]]:
    """Chat prompts with the base's own answers in place of the fact's sentence, where these hold the object."""
    asked = [i for i, (_, p) in enumerate(prompts) if p.channel is Channel.CHAT]
    contexts = [backend.tokenizer.encode(_with_fact(backend, *prompts[i])) for i in asked]
    replies = yield from backend.decode(contexts, backend.mount(BARE), ANSWER_TOKENS)
    answers = dict(zip(asked, (backend.tokenizer.decode(r).strip() for r in replies), strict=True))
    found: list[tuple[Fact, Prompt]] = []
    for i, (fact, prompt) in enumerate(prompts):
        place = locate(answers.get(i, ""), fact.object)
        if place is not None and answers[i][slice(*place)] == fact.object:
            prompt = msgspec.structs.replace(prompt, answer=_first_sentence(answers[i], place[1]))
        found.append((fact, prompt))
    return found


def _first_sentence(answer: str, end: int) -> str:
    """An answer up to the end of the sentence that holds character `end - 1`."""
    stop = re.search(r"[.!?](?=\s|$)", answer[end:])
    return answer if stop is None else answer[: end + stop.end()]


def _general_anchors(
    backend: Backend, memory: BaseMemory, facts: Sequence[Fact], rng: random.Random
) -> Work[tuple[Anchor, ...]]:
    known = [f.subject for f in facts]
    questions = [q for q in anchor_questions() if not mentions_any(q, known)]
    prose = [p for p in anchor_prose() if not mentions_any(p, known)]
    rng.shuffle(questions)
    rng.shuffle(prose)
    prompts = [backend.tokenizer.encode(as_text(backend.tokenizer, Channel.CHAT, q)) for q in questions[:CHAT_ANCHORS]]
    chat = yield from _answered(backend, memory, prompts)
    texts = [backend.tokenizer.encode(p) for p in prose[:PROSE_ANCHORS]]
    return (*chat, *(held(ids, 1) for ids in texts))


def mentions_any(text: str, subjects: Sequence[str]) -> bool:
    """Whether a text speaks of any of the subjects."""
    folded = text.casefold()
    return any(re.search(rf"(?<!\w){re.escape(s.casefold())}(?!\w)", folded) for s in subjects)


def _answered(backend: Backend, memory: BaseMemory, prompts: Sequence[Tokens]) -> Work[tuple[Anchor, ...]]:
    """Anchors over the bare base's own greedy continuations, stop token included where the base stopped."""
    replies = yield from memory.replies(backend, prompts, ANSWER_TOKENS)
    end = backend.tokenizer.end_of_turn
    anchors = []
    for prompt, reply in zip(prompts, replies, strict=True):
        ids = (*prompt, *reply, *((end,) if len(reply) < ANSWER_TOKENS else ()))
        if len(ids) > len(prompt):
            anchors.append(held(ids, len(prompt)))
    return tuple(anchors)
