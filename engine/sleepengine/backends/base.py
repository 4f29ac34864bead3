"""What the engine asks of a framework. Token ids go in, numpy arrays come out; no torch type crosses this line.

Long operations are generators: every `next()` is one work item, short enough (about a second on a laptop CPU, a tenth
of that on a GPU) that the model's owner can answer a chat in between. Their result is the generator's return value.
Each work item sets the view that it was started with, so items of different views may interleave.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Tokens = tuple[int, ...]
T = TypeVar("T")
Work = Generator[None, None, T]
"""A long operation cut into work items."""


@dataclass(frozen=True)
class ModelSpec:
    """What the engine must know of a loaded model. `context` is in tokens; `identity` hashes weights and tokenizer.

    `backend` is the framework that holds it, torch or mlx.
    """

    name: str
    identity: str
    backend: str
    layers: int
    width: int
    mlp_width: int
    vocab: int
    context: int
    device: str
    dtype: str


@dataclass(frozen=True)
class LowRank:
    """An additive map y += left.T @ (right @ x). `right` is (rank, d_in), `left` is (rank, d_out)."""

    right: Array
    left: Array


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter: for each adapted module's path, its two factors, scaling already in `left`."""

    rank: int
    factors: Mapping[str, LowRank]


@dataclass(frozen=True)
class Injection:
    """A value (width,) that is added to the residual stream after block `layer` at token `position`."""

    layer: int
    position: int
    value: Array


class Gate(Protocol):
    """Decides, once before a prompt is continued, which values enter the residual stream and where.

    It reads the prompt's residual streams as they are without any value. A value's place may lie before the last token;
    the backend then computes the prompt again from there on (look-back).
    """

    @property
    def layers(self) -> tuple[int, ...]:
        """The blocks whose output it reads, ascending."""

    def decide(self, ids: Tokens, states: Mapping[int, Array]) -> tuple[Injection, ...]:
        """`states[layer]` is (len(ids), width). Returns nothing for almost every prompt."""

    def may_open(self, ids: Tokens) -> bool:
        """Whether `decide` may let something in: what can be told without reading the states."""

    @property
    def silencing(self) -> bool:
        """Whether there are prompts that the bare base shall answer; see `backends.silencing`."""

    def may_silence(self, ids: Tokens) -> bool:
        """Whether `silences` may say yes: what can be told without reading the prompt's states."""

    def silences(self, ids: Tokens, states: Mapping[int, Array]) -> bool:
        """Whether the bare base shall answer this prompt, the view's adapter left out."""


@dataclass(frozen=True)
class ViewTensors:
    """The numbers of a memory view: an adapter, for each layer the summed linear edits of its MLP down projection, and
    the gate that holds the others."""

    adapter: Adapter | None = None
    edits: Mapping[int, LowRank] = field(default_factory=dict)
    gate: Gate | None = None

    def by_path(self, down_path: Callable[[int], str]) -> dict[str, LowRank]:
        """All that is linear, by the path of the module that it stands beside; what meets there is one pair of factors.

        `down_path` names a layer's MLP down projection.
        """
        parts: dict[str, list[LowRank]] = {}
        if self.adapter is not None:
            for path, factors in self.adapter.factors.items():
                parts.setdefault(path, []).append(factors)
        for layer, factors in self.edits.items():
            parts.setdefault(down_path(layer), []).append(factors)
        return {
            path: LowRank(np.concatenate([p.right for p in found]), np.concatenate([p.left for p in found]))
            for path, found in parts.items()
        }


BARE = ViewTensors()
"""The base model as it was loaded."""


class Mounted(Protocol):
    """A view whose tensors are where the model is. Opaque outside its backend."""


@dataclass(frozen=True)
class Site:
    """A place to look at or to edit: token `position` of the sequence `ids`."""

    ids: Tokens
    position: int


@dataclass(frozen=True)
class Capture:
    """Keys and hidden states of n sites.

    `keys[layer]` is the down projection's input (n, mlp_width), `hidden` the residual stream after block `depth`
    (n, width).
    """

    keys: Mapping[int, Array]
    hidden: Array
    depth: int


@dataclass(frozen=True)
class Target:
    """A sequence whose tokens from `start` on shall be predicted, each with its weight in the loss.

    `edit` is the position whose residual stream receives the value that is being optimised.
    """

    ids: Tokens
    start: int
    weights: tuple[float, ...]
    edit: int


@dataclass(frozen=True)
class Hold:
    """A sequence whose predictions of the tokens from `start` on shall stay as they are without the value."""

    ids: Tokens
    start: int
    edit: int


@dataclass(frozen=True)
class ValueProblem:
    """One value (a vector of the residual stream's width) to optimise over all its contexts together."""

    targets: tuple[Target, ...]
    holds: tuple[Hold, ...] = ()


@dataclass(frozen=True)
class ValueSettings:
    """How values are optimised (MEMIT's v*, paper section 4.2).

    `layer` is the last edited layer: the value is added to the residual stream after it. `clamp` bounds the value's
    norm as a multiple of the residual stream's own norm there. `hold_weight` weighs the KL term. A problem stops early
    once each target's heaviest tokens are the argmax with at least `enough` probability.
    """

    layer: int
    steps: int
    learning_rate: float
    clamp: float
    hold_weight: float
    enough: float


@dataclass(frozen=True)
class ValueResult:
    """`value` is (width,). `hits` is the share of the heaviest target tokens that were the argmax at the end."""

    value: Array
    steps: int
    loss: float
    hits: float


@dataclass(frozen=True)
class Example:
    """A sequence trained by cross-entropy on its tokens from `start` on, each with its weight."""

    ids: Tokens
    start: int
    weights: tuple[float, ...]


@dataclass(frozen=True)
class Anchor:
    """A sequence on which the student's predictions of the tokens from `start` on are held to the bare base's.

    `weights` weigh the KL(base || student) of each prediction. With `reverse` above zero so much of KL(student || base)
    is added to it: it punishes what the student says and the base would not, which the other direction hardly sees.
    With `avoid` above zero the sequence's last token is also made unlikely: it adds `avoid` times -log(1 - p).
    `context` is what the base reads in place of `ids[:start]`; empty: the same. `returns` says that the anchor comes
    again, so that what the base says of it is worth keeping.
    """

    ids: Tokens
    start: int
    weights: tuple[float, ...]
    avoid: float = 0.0
    reverse: float = 0.0
    context: Tokens = ()
    returns: bool = False

    @property
    def of_base(self) -> tuple[Tokens, int]:
        """What the base reads, and where its predictions begin."""
        if not self.context:
            return self.ids, self.start
        return self.context + self.ids[self.start :], len(self.context)


@dataclass(frozen=True)
class LoraScope:
    """Which linear layers an adapter stands beside: those of blocks from `first_layer` on, all of them or the MLP's."""

    first_layer: int = 0
    mlp_only: bool = False


Row = Example | Anchor
"""What a training step is made of."""


@dataclass(frozen=True)
class Sampling:
    """`temperature` 0 is greedy; `seed` None draws a fresh one; `schema` is a JSON schema for the reply to follow."""

    max_tokens: int
    temperature: float = 0.0
    seed: int | None = None
    schema: str | None = None


class Tokenizer(Protocol):
    """Text to ids and back. A rendered chat is text too: what is shown to a person is exactly what is tokenised."""

    @property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end a reply."""

    @property
    def end_of_turn(self) -> int:
        """The token that the chat template puts after a message."""

    def encode(self, text: str) -> Tokens:
        """Ids of text that may contain special tokens, with the model's own start token where it uses one."""

    def decode(self, ids: Sequence[int]) -> str:
        """Text without special tokens."""

    def render_chat(self, messages: Sequence[tuple[str, str]]) -> str:
        """The chat template's text for (role, content) messages, ending where the assistant shall begin."""

    def offsets(self, text: str) -> tuple[Tokens, tuple[tuple[int, int], ...]]:
        """Ids as `encode` gives them and for each the (start, end) characters that it covers."""

    def turn(self, ids: Tokens) -> tuple[int, int]:
        """(start, end) of the text that is to be answered: a rendered chat's last message, else all of `ids`."""


@dataclass(frozen=True)
class Score:
    """How an example fares when it is read, not generated: were all weighted tokens the argmax, and their mean
    log-probability in nats."""

    argmax: bool
    log_prob: float


class Trainer(Protocol):
    """An adapter in training, apart from every mounted view."""

    @property
    def view(self) -> Mounted:
        """The adapter as it is now, with no edits."""

    def prepare(self, anchors: Sequence[Anchor]) -> Work[None]:
        """Ask the base about anchors ahead of the steps that use them, in fewer and fuller batches."""

    def accumulate(self, rows: Sequence[Row], scales: Sequence[float]) -> Work[list[float]]:
        """Add the gradient of the rows' losses, each times its scale; returns the losses, unscaled and in order.

        An example's loss is its weighted cross-entropy, an anchor's its weighted divergence and avoidance.
        """

    def step(self, learning_rate: float) -> None:
        """One optimiser step with what was accumulated."""

    def adapter(self) -> Adapter:
        """A copy of the adapter as it is now."""


class Backend(Protocol):
    """A loaded base model. Its weights never change."""

    @property
    def spec(self) -> ModelSpec:
        """What was loaded."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's own."""

    def down_path(self, layer: int) -> str:
        """The path of a layer's MLP down projection in the model, as its checkpoint has it."""

    def transposed(self, path: str) -> bool:
        """Whether a linear layer's weight is kept as (d_in, d_out), as GPT-2's are, and not as (d_out, d_in)."""

    def mount(self, tensors: ViewTensors) -> Mounted:
        """Put a view's tensors where the model is."""

    def stream(
        self, prompt: Tokens, view: Mounted, sampling: Sampling, session: str | None = None, digest: str = ""
    ) -> Generator[int | None, None, str]:
        """Continue `prompt`. Yields a token id, or None after a piece of prefill; returns "stop" or "length".

        With `session` the conversation's KV cache is kept and its longest common prefix reused, as long as `digest`
        (of what of the view enters a cache: all but gated values) stays the same.
        """

    def decode(self, prompts: Sequence[Tokens], view: Mounted, max_tokens: int) -> Work[list[Tokens]]:
        """Greedy continuations of many prompts at once, each ended by a stop token (not included)."""

    def nll(self, sequence: Tokens, start: int, view: Mounted) -> Array:
        """Negative log-likelihood in nats of each token from `start` on; (len - start,). One work item.

        A gate decides as it would if the model wrote the text: once, before `start`; for prose (`start` 1) afresh every
        few tokens.
        """

    def scores(self, examples: Sequence[Example], view: Mounted) -> Work[list[Score]]:
        """Teacher-forced scores of many examples at once; tokens of weight 0 do not count."""

    def divergence(self, sequence: Tokens, start: int, view: Mounted) -> float:
        """Mean KL(base || view) in nats over the predictions of the tokens from `start` on. One work item."""

    def second_moment(self, sequence: Tokens, layers: Sequence[int]) -> dict[int, Array]:
        """Sum of k k^T over the sequence's tokens for each layer's down-projection input; (mlp_width, mlp_width)."""

    def capture(self, sites: Sequence[Site], layers: Sequence[int], depth: int, view: Mounted) -> Work[Capture]:
        """Keys at `layers` and the residual stream after layer `depth`, at each site."""

    def observe(
        self, sequences: Sequence[Tokens], layers: Sequence[int], view: Mounted
    ) -> Work[list[dict[int, Array]]]:
        """The residual stream after each of `layers`, (len, width), of every sequence, with no gated value in it."""

    def optimise_values(
        self, problems: Sequence[ValueProblem], settings: ValueSettings, view: Mounted
    ) -> Work[list[ValueResult]]:
        """The values that make each problem's targets likely and leave its holds as they are."""

    def trainer(self, init: Adapter | None, rank: int, alpha: float, seed: int, scope: LoraScope) -> Trainer:
        """A trainer over a copy of `init` where it has this rank and the layers of `scope`, else over a fresh one."""

    def micro_tokens(self) -> int:
        """How many tokens one training or capture work item may hold on this device."""

    def memory_bytes(self) -> int:
        """Bytes that the model and its mounted views hold on the device."""

    def peak_memory_bytes(self) -> int:
        """The most that this process has held at once: of the device's memory, or of the machine's on a CPU."""
