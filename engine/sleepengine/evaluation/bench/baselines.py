"""Conditions that edit nothing: the model alone, and the two ways of putting facts into the prompt.

sleepd itself never does what the last two do. They say what the same model makes of the same facts when it may read
them: all of them (the ceiling), or those that a search finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sleepengine.backends.base import BARE, Backend, Work
from sleepengine.errors import EngineError
from sleepengine.evaluation.bench.conditions import Cost, Notes, Prepared, no_notes
from sleepengine.memory.facts import Fact

FOUND = 5  # statements that a search puts into the prompt


@dataclass(frozen=True)
class Untouched:
    """The base model, asked as it is."""

    backend: Backend
    name: str = "none"

    def prepare(self, facts: Sequence[Fact]) -> Work[Prepared]:
        yield
        return _reading(self.backend, facts, no_notes, stored=False)


@dataclass(frozen=True)
class AllNotes:
    """Every statement stands in the system message, or before the raw text."""

    backend: Backend
    name: str = "notes"

    def prepare(self, facts: Sequence[Fact]) -> Work[Prepared]:
        yield
        statements = tuple(fact.statement for fact in facts)
        return _reading(self.backend, facts, lambda query: statements)


@dataclass(frozen=True)
class Retrieved:
    """The statements that BM25 ranks highest for what the user has said."""

    backend: Backend
    name: str = "bm25"

    def prepare(self, facts: Sequence[Fact]) -> Work[Prepared]:
        """Raises EngineError where the library is not installed."""
        yield
        return _reading(self.backend, facts, search([fact.statement for fact in facts]))


def search(statements: Sequence[str], count: int = FOUND) -> Notes:
    """The best `count` of the statements that share a word with a query, best first."""
    try:
        import bm25s
    except ModuleNotFoundError as error:
        raise EngineError("the bm25 baseline needs bm25s: pip install 'sleepd[bench]'") from error
    index = bm25s.BM25()
    index.index(bm25s.tokenize(list(statements), show_progress=False), show_progress=False)

    def best(query: str) -> Sequence[str]:
        tokens = bm25s.tokenize([query], show_progress=False)
        found, scores = index.retrieve(tokens, k=min(count, len(statements)), show_progress=False)
        return [statements[i] for i, score in zip(found[0], scores[0], strict=True) if score > 0]

    return best


def _reading(backend: Backend, facts: Sequence[Fact], notes: Notes, stored: bool = True) -> Prepared:
    size = sum(len(fact.statement.encode()) for fact in facts) / len(facts) if stored else 0.0
    return Prepared(backend.mount(BARE), notes, Cost(seconds=(0.0,) * len(facts), bytes=size, steps=0.0), {})
