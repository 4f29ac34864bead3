"""A nap: a few training steps on what no sleep has consolidated, on top of the current adapter.

It changes no edit: each keeps its scale and its fact's stage, captured again under the nap's generation, and the whole
view must pass the gate.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from sleepengine.backends.base import Backend, Trainer
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.facts import Fact, FactState, Stage
from sleepengine.memory.view import EditRef, View
from sleepengine.sleep.contrasts import Contrasts
from sleepengine.sleep.curation import Curriculum
from sleepengine.sleep.report import FactOutcome
from sleepengine.sleep.settings import SleepSettings
from sleepengine.sleep.settle import NewGeneration
from sleepengine.sleep.sws import batches
from sleepengine.sleep.training import Schedule, Tick, Trained, train as run
from sleepengine.wake.editing import Editor, Standing
from sleepengine.wake.views import Views


def facts_of(facts: Sequence[Fact]) -> list[Fact]:
    """What a nap strengthens: active facts that are not consolidated."""
    return [f for f in facts if f.state is FactState.ACTIVE and f.stage is not Stage.CONSOLIDATED]


def train(
    backend: Backend, trainer: Trainer, curriculum: Curriculum, contrasts: Contrasts, settings: SleepSettings
) -> Generator[Tick | None, None, Trained]:
    """SWS's steps, few and gentle, without checks."""
    rows = settings.rows
    steps = max(1, settings.nap_steps)
    schedule = Schedule(settings.nap_rate * settings.learning_rate, steps, round(settings.warmup * steps), steps)
    return (yield from run(trainer, batches(curriculum, contrasts, rows, settings), schedule))


def outcomes(
    editor: Editor, blobs: BlobStore, views: Views, view: View, facts: Sequence[Fact], new: NewGeneration
) -> list[FactOutcome]:
    """The live edits, as they are, under the nap's generation."""
    known = {f.id: f for f in facts}
    found = []
    for ref in view.live_edits:
        fact = known.get(ref.fact_id)
        if fact is not None:
            (again,) = editor.recapture([views.edit(ref.blob)], Standing(new.adapter, new.blob, ()))
            found.append(
                FactOutcome(
                    fact_id=fact.id,
                    passed=True,
                    stage=int(fact.stage),
                    scale=ref.scale,
                    blob=blobs.put(again.to_bytes()),
                    verified=fact.verified,
                )
            )
    return found


def view(new: NewGeneration, outcomes: Sequence[FactOutcome]) -> View:
    """The view that goes live after the nap."""
    edits = tuple(EditRef(fact_id=o.fact_id, blob=o.blob, scale=o.scale) for o in outcomes if o.blob is not None)
    return View(generation=new.blob, edits=edits)
