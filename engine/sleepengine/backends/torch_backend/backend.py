"""A loaded torch model as a backend: views, forward passes, likelihoods, capture.

Generation, value optimisation and training stand in modules of their own and are given this object.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from sleepengine.backends.base import (
    Adapter,
    Array,
    Capture,
    Example,
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
from sleepengine.backends.gates import untouched
from sleepengine.backends.grouping import chunks, common_prefix, families
from sleepengine.backends.resident import peak_resident_bytes
from sleepengine.backends.tokenizer import HFTokenizer
from sleepengine.backends.torch_backend.batches import Batch, KeyValues, pad
from sleepengine.backends.torch_backend.gating import decide, decided_pieces, observe, values_of
from sleepengine.backends.torch_backend.generation import Conversations, decode_batch, stream
from sleepengine.backends.torch_backend.patches import NOWHERE, Delta, Patches, TorchView, Values
from sleepengine.backends.torch_backend.structure import Structure, discover, input_first
from sleepengine.backends.torch_backend.training import LoraTrainer
from sleepengine.backends.torch_backend.values import optimise


@dataclass(frozen=True)
class Pass:
    """What a forward pass left: logits (B, T, vocab) or (1, n, vocab) of the gathered positions, and the residual
    stream (B, T, width) after each block that was observed."""

    logits: Tensor
    observed: dict[int, Tensor]


class TorchBackend:
    """Implements `sleepengine.backends.base.Backend`. Not thread-safe: one loop owns it."""

    def __init__(self, model: Any, tokenizer: HFTokenizer, name: str, identity: str, precision: str = "") -> None:
        """`precision` is what the linear layers are stored in, where that is not the model's own dtype."""
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        model.eval()
        self.model = model
        self.tokenizer = tokenizer
        self.structure: Structure = discover(model)
        self.patches = Patches(model, self.structure)
        config = model.config.get_text_config()
        embeddings = model.get_input_embeddings().weight
        self.device: torch.device = embeddings.device
        self.dtype: torch.dtype = embeddings.dtype
        self.spec = ModelSpec(
            name=name,
            identity=identity,
            backend="torch",
            layers=len(self.structure.blocks),
            width=self.structure.width,
            mlp_width=self.structure.down[0].d_in,
            vocab=config.vocab_size,
            context=config.max_position_embeddings,
            device=str(self.device),
            dtype=precision or str(self.dtype).removeprefix("torch."),
        )
        self.bare = TorchView({})
        self._conversations = Conversations()

    # --- views --------------------------------------------------------------------------------------------------

    def down_path(self, layer: int) -> str:
        return self.structure.down[layer].path

    def transposed(self, path: str) -> bool:
        return input_first(self.model.get_submodule(path).base)

    def mount(self, tensors: ViewTensors) -> TorchView:
        deltas = {path: self._delta(path, part) for path, part in tensors.by_path(self.down_path).items()}
        return TorchView(deltas, tensors.gate)

    def _delta(self, path: str, part: LowRank) -> Delta:
        device = self.device_of(path)
        right, left = torch.from_numpy(part.right), torch.from_numpy(part.left)
        return Delta(right.to(device, self.dtype), left.to(device, self.dtype))

    @property
    def on_cpu(self) -> bool:
        """There a token costs more than starting a pass."""
        return self.device.type == "cpu"

    def device_of(self, path: str) -> torch.device:
        """Where a module's weights lie; a device map may spread blocks over several."""
        device: torch.device = next(self.model.get_submodule(path).parameters()).device
        return device

    # --- forward passes -----------------------------------------------------------------------------------------

    def forward(
        self,
        batch: Batch,
        view: TorchView,
        prefix: KeyValues | None = None,
        cache: DynamicCache | None = None,
        **state: Any,
    ) -> Pass:
        """One pass over a batch that follows `prefix`. `state` sets fields of `PatchState`.

        `cache` is what the pass reads and fills; by default the prefix, which stays as it is.
        """
        mask, positions = batch.mask, batch.positions
        if prefix is not None:
            mask = torch.cat([prefix.mask, mask], dim=1)
            positions = positions + prefix.lengths[:, None]
            cache = prefix.frozen() if cache is None else cache
        with self.patches.using(view, **state) as patches:
            logits = self.model(
                input_ids=batch.ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=cache is not None,
            ).logits
            return Pass(logits, patches.observed)

    @torch.no_grad()
    def prefix(self, sequences: Sequence[Tokens], view: TorchView, after: KeyValues | None = None) -> KeyValues:
        """The KV cache of a batch of prefixes (which may themselves follow one); no logits are computed."""
        batch = pad(sequences, self.device)
        cache = after.growing() if after is not None else DynamicCache()
        self.forward(batch, view, after, cache, gather=NOWHERE)
        mask = torch.cat([after.mask, batch.mask], dim=1) if after is not None else batch.mask
        return KeyValues.of(cache, mask)

    def micro_tokens(self) -> int:
        return 96 if self.on_cpu else 4096

    def memory_bytes(self) -> int:
        if self.device.type == "cuda":
            return int(torch.cuda.memory_allocated(self.device))
        return sum(p.numel() * p.element_size() for p in self.model.parameters())

    def peak_memory_bytes(self) -> int:
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device))
        return peak_resident_bytes()

    # --- likelihoods --------------------------------------------------------------------------------------------

    @torch.no_grad()
    def log_probs(self, sequence: Tokens, start: int, view: TorchView) -> Tensor:
        """Log-probabilities (len - start, vocab) of the predictions of the tokens from `start` on."""
        found = []
        for begin, end, injections in decided_pieces(self, sequence, start, view):
            columns = torch.arange(begin - 1, end - 1)
            done = self.forward(
                pad([sequence[:end]], self.device),
                view,
                gather=(torch.zeros_like(columns), columns),
                values=values_of([injections]),
            )
            found.append(done.logits[0].float().log_softmax(dim=-1))
        return torch.cat(found)

    def nll(self, sequence: Tokens, start: int, view: Mounted) -> Array:
        assert isinstance(view, TorchView)
        log_probs = self.log_probs(sequence, start, view)
        wanted = torch.tensor(sequence[start:], device=log_probs.device)
        losses: Array = -log_probs.gather(1, wanted[:, None])[:, 0].cpu().numpy()
        return losses

    def divergence(self, sequence: Tokens, start: int, view: Mounted) -> float:
        assert isinstance(view, TorchView)
        base = self.log_probs(sequence, start, self.bare)
        changed = self.log_probs(sequence, start, view)
        return float((base.exp() * (base - changed)).sum(dim=-1).mean())

    def scores(self, examples: Sequence[Example], view: Mounted) -> Work[list[Score]]:
        assert isinstance(view, TorchView)
        fired = yield from decide(self, [e.ids[: e.start] for e in examples], view)
        results: dict[int, Score] = {}
        for family in families([e.ids for e in examples], self.on_cpu):
            members = [examples[i] for i in family]
            limit = min(e.start for e in members) - 1
            shared = common_prefix([e.ids for e in members], limit=untouched([fired[i] for i in family], limit))
            prefix = self.prefix([members[0].ids[:shared]], view) if shared else None
            for group in chunks([len(e.ids) - shared for e in members], 4 * self.micro_tokens()):
                yield
                rows = [members[g] for g in group]
                values = values_of([fired[family[g]] for g in group], [-shared] * len(rows))
                found = self._score_rows(rows, shared, view, prefix.expand(len(rows)) if prefix else None, values)
                results |= {family[g]: score for g, score in zip(group, found, strict=True)}
        return [results[i] for i in range(len(examples))]

    @torch.no_grad()
    def _score_rows(
        self,
        rows: Sequence[Example],
        shared: int,
        view: TorchView,
        prefix: KeyValues | None,
        values: tuple[Values, ...],
    ) -> list[Score]:
        cells = [
            (b, e.start + i - 1 - shared, e.ids[e.start + i])
            for b, e in enumerate(rows)
            for i, weight in enumerate(e.weights)
            if weight > 0
        ]
        owner, columns, wanted = (torch.tensor(part) for part in zip(*cells, strict=True))
        batch = pad([e.ids[shared:] for e in rows], self.device)
        logits = self.forward(batch, view, prefix, gather=(owner, columns), values=values).logits[0].float()
        right = (logits.argmax(dim=-1).cpu() == wanted).tolist()
        picked = logits.log_softmax(dim=-1).cpu().gather(1, wanted[:, None])[:, 0]
        return [
            Score(
                all(r for r, (b, _, _) in zip(right, cells, strict=True) if b == row),
                float(picked[owner == row].mean()),
            )
            for row in range(len(rows))
        ]

    # --- capture ------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def second_moment(self, sequence: Tokens, layers: Sequence[int]) -> dict[int, Array]:
        _, recorded = self._record(pad([sequence], self.device), max(layers), self.bare, None)
        moments: dict[int, Array] = {}
        for layer in layers:
            keys = recorded[layer][0].float()
            moments[layer] = (keys.T @ keys).cpu().numpy()
        return moments

    def capture(self, sites: Sequence[Site], layers: Sequence[int], depth: int, view: Mounted) -> Work[Capture]:
        assert isinstance(view, TorchView)
        # What follows a position cannot change its key: the sequences end there.
        sequences = [site.ids[: site.position + 1] for site in sites]
        keys = {layer: np.zeros((len(sites), self.structure.down[layer].d_in), np.float32) for layer in layers}
        hidden = np.zeros((len(sites), self.spec.width), np.float32)
        for family in families(sequences, self.on_cpu):
            shared = common_prefix([sequences[i] for i in family], limit=min(len(sequences[i]) for i in family) - 1)
            prefix = self.prefix([sequences[family[0]][:shared]], view) if shared else None
            for group in chunks([len(sequences[i]) - shared for i in family], self.micro_tokens()):
                yield
                rows = [family[g] for g in group]
                batch = pad([sequences[i][shared:] for i in rows], self.device)
                last, recorded = self._record(batch, depth, view, prefix.expand(len(rows)) if prefix else None)
                for row, index in enumerate(rows):
                    column = len(sequences[index]) - shared - 1
                    hidden[index] = last[row, column].float().cpu().numpy()
                    for layer in layers:
                        keys[layer][index] = recorded[layer][row, column].float().cpu().numpy()
        return Capture(keys, hidden, depth)

    @torch.no_grad()
    def _record(
        self, batch: Batch, depth: int, view: TorchView, prefix: KeyValues | None
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """The residual stream after block `depth` (B, T, width) and the down projections' inputs up to it."""
        recorder: dict[int, Tensor] = {}
        done = self.forward(batch, view, prefix, recorder=recorder, observe=(depth,), stop_after=depth, gather=NOWHERE)
        return done.observed[depth], recorder

    def observe(
        self, sequences: Sequence[Tokens], layers: Sequence[int], view: Mounted
    ) -> Work[list[dict[int, Array]]]:
        assert isinstance(view, TorchView)
        return (yield from observe(self, sequences, layers, view))

    def constraint(self, schema: str, vocabulary: int) -> Constraint:
        """A reply held to a JSON schema. Raises EngineError."""
        return Constraint(self.tokenizer.whole, vocabulary, schema)

    # --- generation, optimisation, training -----------------------------------------------------------------------

    def stream(
        self, prompt: Tokens, view: Mounted, sampling: Sampling, session: str | None = None, digest: str = ""
    ) -> Generator[int | None, None, str]:
        assert isinstance(view, TorchView)
        return (yield from stream(self, self._conversations, prompt, view, sampling, session, digest))

    def decode(self, prompts: Sequence[Tokens], view: Mounted, max_tokens: int) -> Work[list[Tokens]]:
        assert isinstance(view, TorchView)
        fired = yield from decide(self, prompts, view)
        results: list[Tokens] = [()] * len(prompts)
        for family in families(prompts, self.on_cpu):
            for group in chunks([len(prompts[i]) for i in family], budget=8 * self.micro_tokens()):
                rows = [family[g] for g in group]
                injections = [fired[i] for i in rows]
                produced = yield from decode_batch(self, [prompts[i] for i in rows], view, max_tokens, injections)
                for index, tokens in zip(rows, produced, strict=True):
                    results[index] = tokens
        return results

    def optimise_values(
        self, problems: Sequence[ValueProblem], settings: ValueSettings, view: Mounted
    ) -> Work[list[ValueResult]]:
        assert isinstance(view, TorchView)
        return (yield from optimise(self, problems, settings, view))

    def trainer(self, init: Adapter | None, rank: int, alpha: float, seed: int, scope: LoraScope) -> LoraTrainer:
        return LoraTrainer(self, init, rank, alpha, seed, scope)
