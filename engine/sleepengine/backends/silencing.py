"""A backend whose views can keep their adapter out of some prompts: the bare base answers these in the view's place.

That is how a fact is silenced that an adapter knows: exactly, at once, and without training anything. The view's gate
says which prompts are meant; one that does not silence anything is the backend's own, and costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from sleepengine.backends.base import (
    BARE,
    Array,
    Backend,
    Capture,
    Example,
    Gate,
    Mounted,
    Sampling,
    Score,
    Site,
    Tokens,
    ValueProblem,
    ValueResult,
    ValueSettings,
    ViewTensors,
    Work,
)

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class SilencedView:
    """A mounted view, and the gate that keeps its adapter out."""

    view: Mounted
    gate: Gate


class Silencing:
    """A backend with silenced views; everything that has no view to it is passed on."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._bare = backend.mount(BARE)

    @property
    def as_backend(self) -> Backend:
        """This object for those who ask for a backend."""
        return cast(Backend, self)

    def __getattr__(self, name: str) -> object:
        return getattr(self._backend, name)

    def mount(self, tensors: ViewTensors) -> Mounted:
        """See `Backend.mount`."""
        view = self._backend.mount(tensors)
        gate = tensors.gate
        return SilencedView(view, gate) if gate is not None and gate.silencing else view

    def stream(
        self, prompt: Tokens, view: Mounted, sampling: Sampling, session: str | None = None, digest: str = ""
    ) -> Generator[int | None, None, str]:
        """See `Backend.stream`. A conversation's cache is left as it is by a reply of the bare base."""
        if isinstance(view, SilencedView):
            silenced = False
            if view.gate.may_silence(prompt):
                (silenced,) = yield from self._silenced([prompt], view)
            if silenced:
                return (yield from self._backend.stream(prompt, self._bare, sampling))
        return (yield from self._backend.stream(prompt, _inner(view), sampling, session, digest))

    def decode(self, prompts: Sequence[Tokens], view: Mounted, max_tokens: int) -> Work[list[Tokens]]:
        """See `Backend.decode`."""

        def decoded(some: Sequence[Tokens], of: Mounted) -> Work[list[Tokens]]:
            return self._backend.decode(some, of, max_tokens)

        return (yield from self._apart(prompts, prompts, view, decoded))

    def scores(self, examples: Sequence[Example], view: Mounted) -> Work[list[Score]]:
        """See `Backend.scores`."""
        prompts = [e.ids[: e.start] for e in examples]
        return (yield from self._apart(examples, prompts, view, self._backend.scores))

    def nll(self, sequence: Tokens, start: int, view: Mounted) -> Array:
        """See `Backend.nll`. Prose (`start` 1) asks for nothing, and is read under the view."""
        return self._backend.nll(sequence, start, self._for(sequence[:start], view))

    def divergence(self, sequence: Tokens, start: int, view: Mounted) -> float:
        """See `Backend.divergence`; prose as in `nll`."""
        return self._backend.divergence(sequence, start, self._for(sequence[:start], view))

    def capture(self, sites: Sequence[Site], layers: Sequence[int], depth: int, view: Mounted) -> Work[Capture]:
        """See `Backend.capture`."""
        return (yield from self._backend.capture(sites, layers, depth, _inner(view)))

    def observe(
        self, sequences: Sequence[Tokens], layers: Sequence[int], view: Mounted
    ) -> Work[list[dict[int, Array]]]:
        """See `Backend.observe`."""
        return (yield from self._backend.observe(sequences, layers, _inner(view)))

    def optimise_values(
        self, problems: Sequence[ValueProblem], settings: ValueSettings, view: Mounted
    ) -> Work[list[ValueResult]]:
        """See `Backend.optimise_values`."""
        return (yield from self._backend.optimise_values(problems, settings, _inner(view)))

    def _apart(
        self,
        items: Sequence[T],
        prompts: Sequence[Tokens],
        view: Mounted,
        work: Callable[[Sequence[T], Mounted], Work[list[R]]],
    ) -> Work[list[R]]:
        """`work` over the items whose prompts the view answers and, apart, over those left to the bare base."""
        if not isinstance(view, SilencedView):
            return (yield from work(items, view))
        silenced = yield from self._silenced(prompts, view)
        results: dict[int, R] = {}
        for kind, mounted in ((False, view.view), (True, self._bare)):
            here = [i for i, silent in enumerate(silenced) if silent is kind]
            if here:
                found = yield from work([items[i] for i in here], mounted)
                results |= dict(zip(here, found, strict=True))
        return [results[i] for i in range(len(items))]

    def _silenced(self, prompts: Sequence[Tokens], view: SilencedView) -> Work[list[bool]]:
        """Which of the prompts the bare base shall answer. Only those that may be are read."""
        gate = view.gate
        read = [i for i, prompt in enumerate(prompts) if gate.may_silence(prompt)]
        silenced = [False] * len(prompts)
        if read:
            states = yield from self._backend.observe([prompts[i] for i in read], gate.layers, view.view)
            for i, state in zip(read, states, strict=True):
                silenced[i] = gate.silences(prompts[i], state)
        return silenced

    def _for(self, prompt: Tokens, view: Mounted) -> Mounted:
        """What reads the text that follows a prompt."""
        if not isinstance(view, SilencedView):
            return view
        if len(prompt) < 2 or not view.gate.may_silence(prompt):
            return view.view
        work = self._silenced([prompt], view)
        while True:
            try:
                next(work)
            except StopIteration as end:
                return self._bare if end.value[0] else view.view


def _inner(view: Mounted) -> Mounted:
    return view.view if isinstance(view, SilencedView) else view
