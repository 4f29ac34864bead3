"""One profile's figures: learn a lesson, ask for it in words that no edit saw, ask those who must not know it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import fmean

import msgspec

from sleepengine.backends.base import BARE, Backend, Mounted, Work
from sleepengine.evaluation.calibration.facts import Foil, Lesson
from sleepengine.evaluation.recall import CHAT_TOKENS, RAW_TOKENS, ask, contains, share
from sleepengine.evaluation.texts import anchor_prose
from sleepengine.evaluation.work import silently
from sleepengine.memory.facts import Channel, Pool
from sleepengine.wake.editing import Editor, ScaledEdit, Standing
from sleepengine.wake.encoding import prompt_ids
from sleepengine.wake.learning import learn

PROSE = 8  # paragraphs on which the distance to the base is measured
DIVERGENCE_WEIGHT = 10.0  # .01 nats a token, about one per cent of perplexity, weighs like a tenth of the facts


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What a profile gives. `near_leak` and `other_leak` are shares above the base's, `divergence` nats a token."""

    facts: int
    raw: float
    chat: float
    near_leak: float
    other_leak: float
    divergence: float
    seconds_per_fact: float

    @property
    def recall(self) -> float:
        return fmean((self.raw, self.chat))

    @property
    def score(self) -> float:
        """What the search raises: chat counts twice, a leak costs what a fact gains."""
        gain = fmean((self.raw, self.chat, self.chat))
        return gain - self.near_leak - self.other_leak - DIVERGENCE_WEIGHT * self.divergence


def trial(backend: Backend, editor: Editor, lesson: Lesson) -> Work[Figures]:
    """Figures of an editor on a lesson learned in one batch, through the pipeline of `remember`."""
    nothing, begun = Standing(None, None, ()), time.monotonic()
    learnt = yield from silently(learn(backend, editor, lesson.facts, nothing))
    seconds = (time.monotonic() - begun) / len(lesson.facts)
    edits = [ScaledEdit(one.edit, 1.0) for one in learnt if one.verified.raw or one.verified.chat]
    view = backend.mount(editor.tensors(nothing, edits))
    answers = yield from ask(backend, lesson.facts, Pool.GATE, view)
    near = yield from _leak(backend, lesson.near, view)
    other = yield from _leak(backend, lesson.other, view)
    divergence = yield from _divergence(backend, view)
    return Figures(
        facts=len(lesson.facts),
        raw=share(answers, Channel.RAW),
        chat=share(answers, Channel.CHAT),
        near_leak=near,
        other_leak=other,
        divergence=divergence,
        seconds_per_fact=seconds,
    )


def _leak(backend: Backend, foils: Sequence[Foil], view: Mounted) -> Work[float]:
    """The share of foils whose reply holds the object, above the bare base's share, at least 0."""
    held = []
    for asked in (view, backend.mount(BARE)):
        count = 0
        for channel, limit in ((Channel.RAW, RAW_TOKENS), (Channel.CHAT, CHAT_TOKENS)):
            here = [f for f in foils if f.prompt.channel is channel]
            replies = yield from backend.decode([prompt_ids(backend.tokenizer, f.prompt) for f in here], asked, limit)
            count += sum(contains(backend.tokenizer.decode(r), f.object) for r, f in zip(replies, here, strict=True))
        held.append(count)
    return max(0, held[0] - held[1]) / len(foils)


def _divergence(backend: Backend, view: Mounted) -> Work[float]:
    found = []
    for paragraph in anchor_prose()[:PROSE]:
        found.append(backend.divergence(backend.tokenizer.encode(paragraph), 1, view))
        yield
    return fmean(found)
