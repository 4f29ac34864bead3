"""Keeping facts from coming out that an adapter knows and that no longer hold.

A suppressing edit has a gate and no value: where the gate opens, the bare base answers in the view's place
(`backends.silencing`). It stands in the view until a sleep has trained an adapter that does not know the fact.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence

from sleepengine.backends.base import Backend
from sleepengine.evaluation.recall import Answer, ask
from sleepengine.memory.facts import Channel, Fact, Pool, Verified
from sleepengine.wake.editing import Editor, ScaledEdit, Silencer, Standing
from sleepengine.wake.learning import ATTEMPTS, VERIFY_TOKENS, Learnt, LearnTick


def silence(
    backend: Backend,
    editor: Editor,
    silencer: Silencer,
    facts: Sequence[Fact],
    standing: Standing,
    held: Sequence[Fact] = (),
) -> Generator[LearnTick | None, None, list[Learnt]]:
    """Silence all facts together, then, with more effort, those that still come out. `held` shall come out as before;
    `verified` says silent."""
    begun = time.monotonic()
    done: dict[str, Learnt] = {}
    todo = list(facts)
    for attempt in range(1, ATTEMPTS + 1):
        yield LearnTick(attempt, "editing")
        edits = yield from silencer.suppress(todo, standing, held, attempt)
        yield LearnTick(attempt, "verifying")
        kept = [ScaledEdit(d.edit, 1.0) for d in done.values() if d.fact not in todo]
        view = backend.mount(editor.tensors(standing, [*kept, *(ScaledEdit(e, 1.0) for e in edits)]))
        silent = silences((yield from ask(backend, todo, Pool.CHECK, view, VERIFY_TOKENS)))
        seconds = (time.monotonic() - begun) / len(facts)
        done |= {f.id: Learnt(f, e, silent[f.id], seconds) for f, e in zip(todo, edits, strict=True)}
        todo = [f for f in todo if not (silent[f.id].raw and silent[f.id].chat)]
        if not todo:
            break
    return [done[f.id] for f in facts]


def silences(answers: Sequence[Answer]) -> dict[str, Verified]:
    """By fact id: whether no prompt brought the object out, in each channel."""
    found: dict[str, Verified] = {}
    for fact_id in {a.fact.id for a in answers}:
        told = {a.prompt.channel for a in answers if a.fact.id == fact_id and a.right}
        found[fact_id] = Verified(raw=Channel.RAW not in told, chat=Channel.CHAT not in told)
    return found
