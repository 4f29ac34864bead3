"""Learning facts now: edit, verify by generation on phrasings that the edit did not use, retry what failed."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from sleepengine.backends.base import Backend
from sleepengine.evaluation.recall import ask, verdicts
from sleepengine.evaluation.texts import anchor_prose
from sleepengine.memory.edits import Edit
from sleepengine.memory.facts import Fact, Pool, Verified
from sleepengine.wake.editing import Editor, ScaledEdit, Standing

ATTEMPTS = 2
VERIFY_TOKENS = 16  # a person waits for this: an answer that takes longer to come to the point fails


@dataclass(frozen=True)
class Learnt:
    """A fact's edit and whether it came out. `seconds` is this fact's share of the work."""

    fact: Fact
    edit: Edit
    verified: Verified
    seconds: float


@dataclass(frozen=True)
class LearnTick:
    """Progress: which attempt, and what is being done."""

    attempt: int
    phase: str


def learn(
    backend: Backend, editor: Editor, facts: Sequence[Fact], standing: Standing
) -> Generator[LearnTick | None, None, list[Learnt]]:
    """Edit all facts together, then retry, with more effort and the good ones standing, those that did not come out."""
    begun = time.monotonic()
    done: dict[str, Learnt] = {}
    todo = list(facts)
    bystander = backend.tokenizer.encode(anchor_prose()[0])
    for attempt in range(1, ATTEMPTS + 1):
        yield LearnTick(attempt, "editing")
        kept = [ScaledEdit(d.edit, 1.0) for d in done.values() if d.fact not in todo]
        ground = Standing(standing.adapter, standing.generation, (*standing.edits, *kept))
        edits = yield from editor.learn(todo, ground, effort=attempt)
        yield LearnTick(attempt, "verifying")
        view = backend.mount(editor.tensors(ground, [ScaledEdit(e, 1.0) for e in edits]))
        # A gate that stays shut leaves prose alone to the bit; a linear edit is felt everywhere.
        harmless = math.isinf(editor.collateral) or backend.divergence(bystander, 1, view) <= editor.collateral
        yield None
        verified = {f.id: Verified() for f in todo}
        if harmless:
            answers = yield from ask(backend, todo, Pool.CHECK, view, VERIFY_TOKENS)
            verified = verdicts(answers)
        seconds = (time.monotonic() - begun) / len(facts)
        for fact, edit in zip(todo, edits, strict=True):
            better = fact.id not in done or _score(verified[fact.id]) > _score(done[fact.id].verified)
            if better:
                done[fact.id] = Learnt(fact, edit, verified[fact.id], seconds)
        todo = [f for f in todo if not (done[f.id].verified.chat and done[f.id].verified.raw)]
        if not todo or not harmless:  # more effort does more harm
            break
    return [done[f.id] for f in facts]


def _score(verified: Verified) -> int:
    return 2 * verified.chat + verified.raw
