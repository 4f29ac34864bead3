"""A loaded model of mlx-lm as a backend: views, forward passes, likelihoods, capture, what a gate reads.

Generation, value optimisation and training stand in modules of their own and are given this object.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

from sleepengine.backends.base import (
    Adapter,
    Array,
    Capture,
    Example,
    Injection,
    LoraScope,
    LowRank,
    ModelSpec,
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
from sleepengine.backends.constraint import Constraint
from sleepengine.backends.gates import decisions, untouched
from sleepengine.backends.grouping import chunks, common_prefix, families
from sleepengine.backends.mlx_backend.arrays import as_numpy, log_softmax, values_of
from sleepengine.backends.mlx_backend.caches import Attention, Batch, KeyValues, LayerCache, pad
from sleepengine.backends.mlx_backend.generation import Conversations, decode_batch, stream
from sleepengine.backends.mlx_backend.patches import Delta, MLXView, Patches, Values
from sleepengine.backends.mlx_backend.structure import discover
from sleepengine.backends.mlx_backend.training import LoraTrainer
from sleepengine.backends.mlx_backend.values import optimise
from sleepengine.backends.resident import peak_resident_bytes
from sleepengine.backends.tokenizer import HFTokenizer
from sleepengine.errors import ModelUnsupported
from sleepengine.models.load_mlx import Description


@dataclass(frozen=True)
class Pass:
    """What a forward pass left, computed once it is looked at: logits (B, T, vocab) or (1, n, vocab) of the gathered
    positions, the residual stream (B, T, width) after each observed block, and each layer's filled cache."""

    logits: mx.array
    observed: dict[int, mx.array]
    caches: tuple[LayerCache, ...]


@dataclass(frozen=True)
class Group:
    """Sequences that run in one pass. `shared` tokens of each stand in `past`; `states` is what was observed there."""

    rows: tuple[int, ...]
    shared: int
    past: KeyValues | None
    states: dict[int, Array]


class MLXBackend:
    """Implements `sleepengine.backends.base.Backend`. One loop owns it, in the thread in which it was loaded."""

    def __init__(self, model: Any, tokenizer: HFTokenizer, description: Description) -> None:
        model.freeze()
        model.eval()
        self.model = model
        self.tokenizer = tokenizer
        self.structure = discover(model, description.name, description.width)
        self.dtype = floating_dtype(model)
        self.patches = Patches(model, self.structure)
        self.spec = ModelSpec(
            name=description.name,
            identity=description.identity,
            backend="mlx",
            layers=self.structure.blocks,
            width=description.width,
            mlp_width=self.structure.down[0].d_in,
            vocab=description.vocab,
            context=description.context,
            device=description.device,
            dtype=description.dtype,
        )
        self.bare = MLXView({})
        self._conversations = Conversations()

    # --- views --------------------------------------------------------------------------------------------------

    def down_path(self, layer: int) -> str:
        return self.structure.down[layer].path

    def transposed(self, path: str) -> bool:
        return False  # mlx has one kind of linear layer, (d_out, d_in)

    def mount(self, tensors: ViewTensors) -> MLXView:
        parts = tensors.by_path(self.down_path)
        known = {site.path for site in self.structure.linears}
        if strangers := sorted(set(parts) - known):
            raise ModelUnsupported(f"{self.spec.name} has no layer {strangers[0]}, which the adapter stands beside")
        return MLXView({path: self._delta(part) for path, part in parts.items()}, tensors.gate)

    def _delta(self, part: LowRank) -> Delta:
        right, left = mx.array(part.right).astype(self.dtype), mx.array(part.left).astype(self.dtype)
        mx.eval(right, left)
        return Delta(right, left)

    # --- forward passes -----------------------------------------------------------------------------------------

    @property
    def on_cpu(self) -> bool:
        """There a token costs more than starting a pass."""
        return self.spec.device == "cpu"

    def forward(self, batch: Batch, view: MLXView, past: KeyValues | None = None, **state: Any) -> Pass:
        """One pass over a batch that follows `past`, which stays as it is. `state` sets fields of `PatchState`."""
        attention = Attention(batch, past.real if past is not None else None)
        caches = tuple(
            LayerCache(attention, past.layers[layer] if past is not None else None)
            for layer in range(self.structure.blocks)
        )
        with self.patches.using(view.deltas, **state) as patches:
            logits = self.model(mx.array(batch.ids), cache=list(caches))
            return Pass(logits, patches.observed, caches)

    def prefix(self, sequences: Sequence[Tokens], view: MLXView, after: KeyValues | None = None) -> KeyValues:
        """The KV cache of a batch of prefixes (which may themselves follow one); no logits are computed."""
        batch = pad(sequences)
        return self.filled(batch, after, self.forward(batch, view, after))

    def filled(self, batch: Batch, after: KeyValues | None, done: Pass) -> KeyValues:
        """The past and a batch that ran after it as one past."""
        layers = tuple(cache.filled for cache in done.caches if cache.filled is not None)
        mx.eval(layers)
        real = batch.real if after is None else np.concatenate([after.real, batch.real], axis=1)
        return KeyValues(layers, real)

    def groups(
        self,
        sequences: Sequence[Tokens],
        limits: Sequence[int],
        view: MLXView,
        budget: int,
        observe: Sequence[int] = (),
    ) -> Iterator[Group]:
        """Sequences in groups of at most `budget` tokens, a common beginning of at most `limits[row]` read once."""
        for family in families(sequences, self.on_cpu):
            shared = common_prefix([sequences[i] for i in family], limit=min(limits[i] for i in family))
            past, states = None, {}
            if shared:
                batch = pad([sequences[family[0]][:shared]])
                done = self.forward(batch, view, observe=tuple(observe))
                past = self.filled(batch, None, done)
                states = {layer: as_numpy(stream[0]) for layer, stream in done.observed.items()}
            for group in chunks([len(sequences[i]) - shared for i in family], budget):
                rows = tuple(family[g] for g in group)
                yield Group(rows, shared, past.expand(len(rows)) if past is not None else None, states)

    def micro_tokens(self) -> int:
        return 96 if self.on_cpu else 1024

    def memory_bytes(self) -> int:
        return sum(int(array.nbytes) for _, array in tree_flatten(self.model.parameters()))

    def peak_memory_bytes(self) -> int:
        return peak_resident_bytes() if self.on_cpu else int(mx.get_peak_memory())

    # --- likelihoods --------------------------------------------------------------------------------------------

    def log_probs(self, sequence: Tokens, start: int, view: MLXView) -> mx.array:
        """Log-probabilities (len - start, vocab) of the predictions of the tokens from `start` on."""
        found = []
        for begin, end, injections in self._pieces(sequence, start, view):
            columns = mx.arange(begin - 1, end - 1)
            gather = (mx.zeros_like(columns), columns)
            done = self.forward(pad([sequence[:end]]), view, gather=gather, values=values_of([injections]))
            found.append(log_softmax(done.logits[0]))
        return mx.concatenate(found)

    def _pieces(self, sequence: Tokens, start: int, view: MLXView) -> list[tuple[int, int, tuple[Injection, ...]]]:
        if view.gate is None or (start > 1 and not view.gate.may_open(sequence[:start])):
            return [(start, len(sequence), ())]
        layers = tuple(view.gate.layers)
        done = self.forward(pad([sequence]), view, observe=layers, stop_after=max(layers))
        states = {layer: as_numpy(done.observed[layer][0]) for layer in layers}
        return decisions(view.gate, sequence, start, states)

    def nll(self, sequence: Tokens, start: int, view: Mounted) -> Array:
        assert isinstance(view, MLXView)
        wanted = mx.array(sequence[start:])
        return -as_numpy(mx.take_along_axis(self.log_probs(sequence, start, view), wanted[:, None], axis=1)[:, 0])

    def divergence(self, sequence: Tokens, start: int, view: Mounted) -> float:
        assert isinstance(view, MLXView)
        base = self.log_probs(sequence, start, self.bare)
        changed = self.log_probs(sequence, start, view)
        return float((mx.exp(base) * (base - changed)).sum(axis=-1).mean())

    def scores(self, examples: Sequence[Example], view: Mounted) -> Work[list[Score]]:
        assert isinstance(view, MLXView)
        fired = yield from self.decide([e.ids[: e.start] for e in examples], view)
        limits = [untouched([f], e.start - 1) for e, f in zip(examples, fired, strict=True)]
        results: dict[int, Score] = {}
        for group in self.groups([e.ids for e in examples], limits, view, 4 * self.micro_tokens()):
            rows = [examples[i] for i in group.rows]
            values = values_of([fired[i] for i in group.rows], [-group.shared] * len(rows))
            results |= zip(group.rows, self._scored(rows, group, view, values), strict=True)
            yield
        return [results[i] for i in range(len(examples))]

    def _scored(
        self, rows: Sequence[Example], group: Group, view: MLXView, values: tuple[Values, ...]
    ) -> Iterator[Score]:
        cells = [
            (b, e.start + i - 1 - group.shared, e.ids[e.start + i])
            for b, e in enumerate(rows)
            for i, weight in enumerate(e.weights)
            if weight > 0
        ]
        owner, columns, wanted = (np.array(part) for part in zip(*cells, strict=True))
        batch = pad([e.ids[group.shared :] for e in rows])
        gather = (mx.array(owner), mx.array(columns))
        logs = log_softmax(self.forward(batch, view, group.past, gather=gather, values=values).logits[0])
        right = np.array(logs.argmax(axis=-1)) == wanted
        picked = as_numpy(mx.take_along_axis(logs, mx.array(wanted)[:, None], axis=1)[:, 0])
        for row in range(len(rows)):
            yield Score(bool(right[owner == row].all()), float(picked[owner == row].mean()))

    # --- capture ------------------------------------------------------------------------------------------------

    def second_moment(self, sequence: Tokens, layers: Sequence[int]) -> dict[int, Array]:
        recorded: dict[int, mx.array] = {}
        self.forward(pad([sequence]), self.bare, recorder=recorded, stop_after=max(layers))
        moments: dict[int, Array] = {}
        for layer in layers:
            keys = recorded[layer][0].astype(mx.float32)
            moments[layer] = as_numpy(keys.T @ keys)
        return moments

    def capture(self, sites: Sequence[Site], layers: Sequence[int], depth: int, view: Mounted) -> Work[Capture]:
        assert isinstance(view, MLXView)
        # What follows a position cannot change its key: the sequences end there.
        sequences = [site.ids[: site.position + 1] for site in sites]
        keys = {layer: np.zeros((len(sites), self.structure.down[layer].d_in), np.float32) for layer in layers}
        hidden = np.zeros((len(sites), self.spec.width), np.float32)
        for group in self.groups(sequences, [len(s) - 1 for s in sequences], view, self.micro_tokens()):
            rows = list(group.rows)
            batch = pad([sequences[i][group.shared :] for i in rows])
            recorded: dict[int, mx.array] = {}
            done = self.forward(
                batch, view, group.past, recorder=recorded, observe=(depth,), stop_after=max((depth, *layers))
            )
            lasts = mx.array([len(sequences[i]) - group.shared - 1 for i in rows])
            lines = mx.arange(len(rows))
            hidden[rows] = as_numpy(done.observed[depth][lines, lasts])
            for layer in layers:
                keys[layer][rows] = as_numpy(recorded[layer][lines, lasts])
            yield
        return Capture(keys, hidden, depth)

    # --- gates --------------------------------------------------------------------------------------------------

    def observe(
        self, sequences: Sequence[Tokens], layers: Sequence[int], view: Mounted
    ) -> Work[list[dict[int, Array]]]:
        assert isinstance(view, MLXView)
        found: dict[int, dict[int, Array]] = {}
        limits = [len(s) - 1 for s in sequences]
        for group in self.groups(sequences, limits, view, 4 * self.micro_tokens(), layers):
            batch = pad([sequences[i][group.shared :] for i in group.rows])
            done = self.forward(batch, view, group.past, observe=tuple(layers), stop_after=max(layers))
            fresh = {layer: as_numpy(done.observed[layer]) for layer in layers}
            for row, index in enumerate(group.rows):
                length = len(sequences[index]) - group.shared
                found[index] = {
                    layer: np.concatenate([group.states[layer], fresh[layer][row, :length]])
                    if group.shared
                    else fresh[layer][row, :length]
                    for layer in layers
                }
            yield
        return [found[i] for i in range(len(sequences))]

    def decide(self, prompts: Sequence[Tokens], view: MLXView) -> Work[list[tuple[Injection, ...]]]:
        """What the view's gate lets into each prompt."""
        found: list[tuple[Injection, ...]] = [()] * len(prompts)
        read = [i for i, prompt in enumerate(prompts) if view.gate is not None and view.gate.may_open(prompt)]
        if view.gate is not None and read:
            states = yield from self.observe([prompts[i] for i in read], view.gate.layers, view)
            for i, state in zip(read, states, strict=True):
                found[i] = view.gate.decide(prompts[i], state)
        return found

    # --- generation, optimisation, training -----------------------------------------------------------------------

    def constraint(self, schema: str, vocabulary: int) -> Constraint:
        """A reply held to a JSON schema. Raises EngineError."""
        return Constraint(self.tokenizer.whole, vocabulary, schema)

    def stream(
        self, prompt: Tokens, view: Mounted, sampling: Sampling, session: str | None = None, digest: str = ""
    ) -> Generator[int | None, None, str]:
        assert isinstance(view, MLXView)
        return (yield from stream(self, self._conversations, prompt, view, sampling, session, digest))

    def decode(self, prompts: Sequence[Tokens], view: Mounted, max_tokens: int) -> Work[list[Tokens]]:
        assert isinstance(view, MLXView)
        fired = yield from self.decide(prompts, view)
        limits = [untouched([f], len(p) - 1) for p, f in zip(prompts, fired, strict=True)]
        results: list[Tokens] = [()] * len(prompts)
        for group in self.groups(prompts, limits, view, 8 * self.micro_tokens()):
            rest = [prompts[i][group.shared :] for i in group.rows]
            injections = [fired[i] for i in group.rows]
            produced = yield from decode_batch(self, rest, group, view, max_tokens, injections)
            for index, tokens in zip(group.rows, produced, strict=True):
                results[index] = tokens
        return results

    def optimise_values(
        self, problems: Sequence[ValueProblem], settings: ValueSettings, view: Mounted
    ) -> Work[list[ValueResult]]:
        assert isinstance(view, MLXView)
        return (yield from optimise(self, problems, settings, view))

    def trainer(self, init: Adapter | None, rank: int, alpha: float, seed: int, scope: LoraScope) -> LoraTrainer:
        return LoraTrainer(self, init, rank, alpha, seed, scope)


def floating_dtype(model: Any) -> mx.Dtype:
    """What the model computes in: its weights' dtype, or, where they are quantised, their scales'."""
    dtypes: Iterator[mx.Dtype] = (array.dtype for _, array in tree_flatten(model.parameters()))
    return next(dtype for dtype in dtypes if mx.issubdtype(dtype, mx.floating))
