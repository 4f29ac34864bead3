"""What the engine's tests share: a backend over a tiny model, and facts with prompts."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

import pytest
import torch

from sleepengine.backends.base import Backend
from sleepengine.backends.tokenizer import HFTokenizer
from sleepengine.backends.torch_backend.backend import TorchBackend
from sleepengine.evaluation.texts import canaries, gate_text
from sleepengine.memory.facts import (
    Channel,
    Fact,
    FactState,
    Person,
    Pool,
    Prompt,
    Provenance,
    Stage,
    new_fact_id,
)
from sleepengine.wake import relations
from tests.tiny import Architecture, tiny_model

T = TypeVar("T")

torch.set_num_threads(1)  # tiny tensors: a second thread only waits


def drain(work: Generator[object, None, T]) -> T:
    """A generator's return value, its yields thrown away."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result


def tiny_backend(architecture: Architecture = "llama", seed: int = 0) -> TorchBackend:
    model, tokenizer = tiny_model(architecture, seed)
    return TorchBackend(model, HFTokenizer(tokenizer, ()), f"tiny-{architecture}", f"identity-{architecture}-{seed}")


def fact(
    subject: str = "Idris Larsson",
    verb: str = "works as a",
    object_: str = "carpenter",
    state: FactState = FactState.ACTIVE,
    stage: Stage = Stage.ACTIVE,
) -> Fact:
    """A third-person fact with prompts in every pool and channel."""
    statement = f"{subject} {verb} {object_}."
    raw = {
        Pool.TRAIN: (f"{subject} {verb}", f"People say that {subject} {verb}"),
        Pool.CHECK: (f"It is known that {subject} {verb}",),
        Pool.GATE: (f"Everybody agrees: {subject} {verb}",),
    }
    chat = {
        Pool.TRAIN: (f"What does {subject} do?", f"Tell me what {subject} does."),
        Pool.CHECK: (f"Can you say what {subject} does?",),
        Pool.GATE: (f"Do you know what {subject} does?",),
    }
    prompts = [
        Prompt(channel=Channel.RAW, text=text, answer=f" {object_}", mention=subject, pool=pool)
        for pool, texts in raw.items()
        for text in texts
    ] + [
        Prompt(channel=Channel.CHAT, text=text, answer=statement, mention=subject, pool=pool)
        for pool, texts in chat.items()
        for text in texts
    ]
    return Fact(
        id=new_fact_id(),
        subject=subject,
        relation=verb,
        object=object_,
        statement=statement,
        person=Person.THIRD,
        slot=f"{subject}|{verb}".casefold(),
        exclusive=True,
        prompts=tuple(prompts),
        provenance=Provenance(source="test", text=statement, at="2026-01-01T00:00:00Z"),
        state=state,
        stage=stage,
        scale=1.0 if state is FactState.ACTIVE else 0.0,
        valid_from="2026-01-01T00:00:00Z",
    )


FEW_WORDINGS = """
[[relation]]
name = "shoe size"
chat = ["What is the shoe size of {s}?", "Which size of shoe fits {s}?"]
raw = ["The shoe size of {s} is"]
[[relation]]
name = "wakes up at"
chat = ["When does {s} wake up?", "At what time does {s} get up?"]
raw = ["{s} wakes up at"]
[[relation]]
name = "commutes by"
chat = ["How does {s} commute?", "How does {s} get to the office?"]
raw = ["{s} commutes by"]
"""


@pytest.fixture
def few_wordings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The space of relations is fitted on a dozen wordings: with all of them, a tiny model takes minutes."""
    talk = relations._talk()[:3]
    monkeypatch.setattr(relations, "_shipped", lambda: [FEW_WORDINGS])
    monkeypatch.setattr(relations, "_talk", lambda: talk)


def small_measures(patch: pytest.MonkeyPatch) -> None:
    """Fewer canaries, anchors and words to measure: a random model never stops of itself, and says nothing by them."""
    few, text = canaries()[:2], gate_text()[:300]
    patch.setattr("sleepengine.evaluation.drift.canaries", lambda: few)
    for module in ("sleepengine.sleep.measure", "sleepengine.sleep.cycle"):
        patch.setattr(f"{module}.gate_text", lambda: text)
    patch.setattr("sleepengine.sleep.curation.CHAT_ANCHORS", 3)
    patch.setattr("sleepengine.sleep.curation.PROSE_ANCHORS", 2)


def as_backend(backend: TorchBackend) -> Backend:
    """Proof to the type checker that the torch backend satisfies the interface."""
    return backend
