"""What editors have in common, and the one interface through which facts are learned and views are composed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

from sleepengine.backends.base import Adapter, ViewTensors, Work
from sleepengine.errors import EngineError
from sleepengine.memory.edits import Edit
from sleepengine.memory.facts import Fact

T = TypeVar("T")

SILENCER = "gated"
"""The editor that can keep facts from coming out."""


@dataclass(frozen=True)
class ScaledEdit:
    """An edit and its s_i of Eq. 2. The scale multiplies what is added, never a key."""

    edit: Edit
    scale: float


@dataclass(frozen=True)
class Standing:
    """What an edit is made on top of: the generation's adapter and blob name, and the edits that are active."""

    adapter: Adapter | None
    generation: str | None
    edits: tuple[ScaledEdit, ...]


class Editor(Protocol):
    """Makes edits and composes views of them."""

    @property
    def collateral(self) -> float:
        """Nats a token by which an edit may move unrelated prose before it is thrown away."""

    def tensors(self, standing: Standing, fresh: Sequence[ScaledEdit] = ()) -> ViewTensors:
        """A view's tensors with its active edits, and `fresh` ones."""

    def learn(self, facts: Sequence[Fact], standing: Standing, effort: int = 1) -> Work[list[Any]]:
        """One edit a fact, in order. `effort` above 1 tries harder."""

    def recapture(self, edits: Sequence[Any], standing: Standing) -> list[Any]:
        """Edits as they shall stand under another generation."""


class Silencer(Protocol):
    """Makes edits that keep facts from coming out of an adapter."""

    def suppress(
        self, facts: Sequence[Fact], standing: Standing, held: Sequence[Fact] = (), effort: int = 1
    ) -> Work[list[Any]]:
        """One edit a fact, in order. `held` are facts that shall still come out; `effort` above 1 tries harder."""


class Editors:
    """The editor that learns, and beside it any other whose edits a view may still hold; those are opened when met."""

    def __init__(self, active: str, openers: Mapping[str, Callable[[], Editor]]) -> None:
        self.active, self._openers = active, openers
        self._open: dict[str, Editor] = {}

    @property
    def collateral(self) -> float:
        return self.open(self.active).collateral

    def tensors(self, standing: Standing, fresh: Sequence[ScaledEdit] = ()) -> ViewTensors:
        """Linear edits as summed factors and gated ones behind one gate. The active editor takes part without an edit
        too: a gate that holds nothing yet is there when a conversation begins."""
        composed = ViewTensors(standing.adapter)
        edits = (*standing.edits, *fresh)
        for name in sorted({self.active, *(e.edit.header.editor for e in edits)}):
            own = tuple(e for e in edits if e.edit.header.editor == name)
            part = self.open(name).tensors(Standing(None, None, own))
            composed = ViewTensors(composed.adapter, {**composed.edits, **part.edits}, part.gate or composed.gate)
        return composed

    def learn(self, facts: Sequence[Fact], standing: Standing, effort: int = 1) -> Work[list[Any]]:
        """By the active editor, over those standing edits that are its own."""
        own = tuple(e for e in standing.edits if e.edit.header.editor == self.active)
        return (
            yield from self.open(self.active).learn(facts, Standing(standing.adapter, standing.generation, own), effort)
        )

    def suppress(
        self, facts: Sequence[Fact], standing: Standing, held: Sequence[Fact] = (), effort: int = 1
    ) -> Work[list[Any]]:
        """By the gated editor, whichever learns: a gate can leave a fact to the base, a linear edit cannot."""
        silencer = cast(Silencer, self.open(SILENCER))
        return (yield from silencer.suppress(facts, standing, held, effort))

    def recapture(self, edits: Sequence[Any], standing: Standing) -> list[Any]:
        return [self.open(e.header.editor).recapture([e], standing)[0] for e in edits]

    def open(self, name: str) -> Editor:
        """An editor by its name, made when it is first needed. Raises EngineError for an unknown name."""
        if name not in self._open:
            if name not in self._openers:
                raise EngineError(f"no editor is called {name!r}; there are {', '.join(sorted(self._openers))}")
            self._open[name] = self._openers[name]()
        return self._open[name]


def spread(items: Sequence[T], count: int) -> list[T]:
    """At most `count` items, evenly over the list, first and last included: prompts run from plain to paraphrased."""
    if len(items) <= count:
        return list(items)
    if count <= 1:
        return list(items[:count])
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]
