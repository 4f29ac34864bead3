"""What is asked of every part under one view: by generation, and by the log-probability of objects."""

from __future__ import annotations

import random
from collections.abc import Sequence
from statistics import fmean

import msgspec

from sleepengine.backends.base import Backend, Example, Mounted, Work
from sleepengine.evaluation.bench.asking import Limits, Reply, ask_view
from sleepengine.evaluation.bench.probes import Cell, Probe, fill, recall
from sleepengine.evaluation.bench.revise.cast import Part, Role
from sleepengine.evaluation.bench.scenario import Taught, bare, cloze
from sleepengine.evaluation.recall import contains
from sleepengine.sleep.rows import answered

WAYS: dict[str, tuple[Cell, ...]] = {
    "raw": (Cell.RAW, Cell.RAW_PARAPHRASE),
    "chat": (Cell.CHAT, Cell.CHAT_PARAPHRASE, Cell.POLITE),
    "other ways": (Cell.AFTER_ONE, Cell.PRONOUN, Cell.IMPLIED),
}
"""The report phrasings by the way in which they ask. No editor and no training has seen any of them."""
_CELLS = tuple(cell for cells in WAYS.values() for cell in cells)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A reply about one part, and whether the fact's own object or the one that takes its place stands in it."""

    part: int
    group: str
    way: str
    reply: Reply
    old: bool
    new: bool
    base_new: bool

    @property
    def base_old(self) -> bool:
        """Whether the bare base says the fact's own object by itself."""
        return self.reply.base_hit


class Likelihood(msgspec.Struct, frozen=True, kw_only=True):
    """Mean log-probabilities in nats a token over a part's phrasings, under the view and under the bare base: of its
    own object, and of each object of the relation that nobody was taught."""

    part: int
    group: str
    own: float
    own_base: float
    matched: tuple[float, ...]
    matched_base: tuple[float, ...]


def questions(parts: Sequence[Part], seed: int) -> list[Probe]:
    """The report phrasings about every part; `fact` is its index, the target its own object."""
    draw = random.Random(f"revise questions:{seed}")
    return [p for index, part in enumerate(parts) for p in recall(index, part.taught, draw) if p.cell in _CELLS]


def answers(
    backend: Backend, parts: Sequence[Part], probes: Sequence[Probe], base: Sequence[str], view: Mounted, limits: Limits
) -> Work[list[Answer]]:
    """The view's replies beside the base's."""
    replies = yield from ask_view(backend, probes, view, base, limits)
    return [_answer(parts, reply) for reply in replies]


def likelihoods(backend: Backend, parts: Sequence[Part], view: Mounted) -> Work[list[list[float]]]:
    """By part, the mean log-probability of its own object and then of each matched one."""
    rows = [(index, o, row) for index, part in enumerate(parts) for o, row in enumerate(_examples(backend, part))]
    flat = [(index, o, example) for index, o, examples in rows for example in examples]
    scores = yield from backend.scores([example for _, _, example in flat], view)
    found: dict[tuple[int, int], list[float]] = {}
    for (index, o, _), score in zip(flat, scores, strict=True):
        found.setdefault((index, o), []).append(score.log_prob)
    return [[fmean(found[(i, o)]) for o in range(1 + len(part.matched))] for i, part in enumerate(parts)]


def beside_base(
    parts: Sequence[Part], now: Sequence[Sequence[float]], base: Sequence[Sequence[float]]
) -> list[Likelihood]:
    """What two views give, put together."""
    return [
        Likelihood(
            part=index,
            group=part.group,
            own=now[index][0],
            own_base=base[index][0],
            matched=tuple(now[index][1:]),
            matched_base=tuple(base[index][1:]),
        )
        for index, part in enumerate(parts)
    ]


def _answer(parts: Sequence[Part], reply: Reply) -> Answer:
    assert reply.probe.fact is not None
    part = parts[reply.probe.fact]
    new = bare(part.shown_new)
    return Answer(
        part=reply.probe.fact,
        group=part.group,
        way=next(way for way, cells in WAYS.items() if reply.probe.cell in cells),
        reply=reply,
        old=reply.hit,
        new=part.role is Role.CORRECTED and contains(reply.reply, new),
        base_new=part.role is Role.CORRECTED and contains(reply.base, new),
    )


def _examples(backend: Backend, part: Part) -> list[list[Example]]:
    """For the part's own object and for each matched one, its phrasings with only the object's tokens weighed."""
    return [_scored(backend, part.taught, shown) for shown in (part.taught.shown, *part.matched)]


def _scored(backend: Backend, taught: Taught, shown: str) -> list[Example]:
    """Raw texts that the object continues, and chat questions that the relation's own sentence answers."""
    tokenizer, relation, someone, object_ = backend.tokenizer, taught.relation, taught.subject, bare(shown)
    begun = cloze(relation, someone.name, shown, object_)
    texts = [begun, *(fill(text, someone, shown) for text in relation.raw_paraphrase)]
    rows = [answered(tokenizer, text, f" {object_}", object_) for text in texts]
    for text in (*relation.chat, *relation.chat_paraphrase):
        prompt = tokenizer.render_chat([("user", fill(text, someone))])
        rows.append(answered(tokenizer, prompt, f"{begun} {object_}.", object_))
    return [Example(row.ids, row.start, row.weights(0.0)) for row in rows]
