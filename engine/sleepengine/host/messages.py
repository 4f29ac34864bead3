"""What the host process and its parent say to each other. Typed values only; imports no torch.

The channel is one inherited stream socket. Each message is a 4-byte big-endian length and that many bytes of msgpack;
the length is at most `MAX_FRAME`. The parent sends orders, the host sends reports; every report but `Ready` carries
the id of the order that it answers. An order ends with exactly one `Done` or `Failed`.

The host never opens the ledger. It is given facts and a frozen view, writes blobs, and proposes; the parent commits
and then tells it to `Mount` what was committed.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sleepengine.memory.facts import Fact, Verified
from sleepengine.memory.view import View
from sleepengine.sleep.report import NightReport, Plan
from sleepengine.sleep.settings import SleepSettings

MAX_FRAME = 64 * 1024 * 1024


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="t"):
    """Base of orders and reports; `t` on the wire is the class name."""


# --- orders: parent to host -------------------------------------------------------------------------------------


class Mount(Message, frozen=True, kw_only=True, tag=True):
    """Make `view` the live view. Done with `Mounted`. Work that began under another view finishes under it."""

    id: str
    view: View


class Generate(Message, frozen=True, kw_only=True, tag=True):
    """Continue a prompt. Streams `Chunk`, done with `Generated`.

    Exactly one of `messages` (rendered with the chat template) and `text` (raw) is given. `session` names the
    conversation whose KV cache may be reused. `temperature` 0 is greedy. `view` None means the live view. `schema` is
    a JSON schema that the text shall follow; it fails where the model's backend cannot hold it to one.
    """

    id: str
    messages: tuple[tuple[str, str], ...] | None = None  # (role, content)
    text: str | None = None
    session: str | None = None
    max_tokens: int = 256
    temperature: float = 0.0
    seed: int | None = None
    view: View | None = None
    schema: str | None = None


class Learn(Message, frozen=True, kw_only=True, tag=True):
    """Edit facts into `view` and verify them by generation. Reports `Progress`, done with `Learned`.

    With `suppress` the facts are ones that no longer hold and that the view's adapter still knows: their edits bring
    back what the bare base model answers, and `verified` says that the fact did not come out. `held` are the facts
    about the same subjects that shall come out as before.
    """

    id: str
    facts: tuple[Fact, ...]
    view: View
    suppress: bool = False
    held: tuple[Fact, ...] = ()


class Sleep(Message, frozen=True, kw_only=True, tag=True):
    """Run one cycle over `facts` starting from `view`. Reports `Progress` and `Saved`, done with `Slept`."""

    id: str
    cycle: int
    plan: Plan
    facts: tuple[Fact, ...]
    view: View
    settings: SleepSettings


class Measure(Message, frozen=True, kw_only=True, tag=True):
    """Perplexity of `text` (None: the shipped gate text) under `view` and under the bare base. Done with `Measured`."""

    id: str
    text: str | None = None
    view: View | None = None


class Export(Message, frozen=True, kw_only=True, tag=True):
    """Write what `view` holds beside the base into `folder`, as a PEFT adapter or, `merged`, as a whole checkpoint.

    The folder must be absent or empty. What is not linear is left out and listed in the folder, or with `strict`
    nothing is written. `statements` are those of the facts that hold, by id: an edit of any other fact is there to keep
    something from coming out. Reports `Progress`, done with `Exported`.
    """

    id: str
    folder: str
    view: View
    merged: bool = False
    strict: bool = False
    statements: dict[str, str] = {}


class Cancel(Message, frozen=True, kw_only=True, tag=True):
    """Stop the order `target` at its next safe point; it ends as `Done` with what it has, or `Failed` "cancelled"."""

    id: str
    target: str


class Beat(Message, frozen=True, kw_only=True, tag=True):
    """Ask for proof of progress; answered by `Done` with `Beaten` from the model-owner loop itself."""

    id: str


Order = Mount | Generate | Learn | Sleep | Measure | Export | Cancel | Beat


# --- results ----------------------------------------------------------------------------------------------------


class Mounted(Message, frozen=True, kw_only=True, tag=True):
    digest: str
    seconds: float


class Generated(Message, frozen=True, kw_only=True, tag=True):
    """`finish` is "stop", "length" or "cancelled"; `prompt` is the exact text that was tokenised."""

    text: str
    prompt: str
    prompt_tokens: int
    tokens: int
    seconds: float
    finish: str


class EditProposal(Message, frozen=True, kw_only=True, tag=True):
    """An edit written to the blob store and not yet committed. `blob` None: no edit could be made."""

    fact_id: str
    blob: str | None
    verified: Verified
    bytes: int
    seconds: float
    note: str = ""


class Learned(Message, frozen=True, kw_only=True, tag=True):
    edits: tuple[EditProposal, ...]
    seconds: float


class Slept(Message, frozen=True, kw_only=True, tag=True):
    """A finished cycle."""

    cycle: int
    report: NightReport


class Measured(Message, frozen=True, kw_only=True, tag=True):
    """`drift` is the mean KL(base || view) in nats a token on the base's own answers to the canary questions."""

    perplexity: float
    base_perplexity: float
    drift: float
    tokens: int
    canaries: tuple[tuple[str, str, bool], ...]  # question, answer, accepted
    seconds: float


class LeftOut(Message, frozen=True, kw_only=True, tag=True):
    """An edit that no export can hold. `statement` is empty where the fact no longer holds."""

    fact_id: str
    editor: str
    statement: str
    reason: str


class Exported(Message, frozen=True, kw_only=True, tag=True):
    """`edits` counts the edits that went in, `files` names what was written, `bytes` is their size."""

    files: tuple[str, ...]
    edits: int
    left_out: tuple[LeftOut, ...]
    bytes: int
    seconds: float


class Beaten(Message, frozen=True, kw_only=True, tag=True):
    steps: int  # work items done since the host started
    rss_bytes: int
    device_bytes: int = 0  # what the model and its views hold on its device


Result = Mounted | Generated | Learned | Slept | Measured | Exported | Beaten


# --- reports: host to parent ------------------------------------------------------------------------------------


class Loading(Message, frozen=True, kw_only=True, tag=True):
    """Sent while the model loads; `phase` is for a person."""

    phase: str


class Ready(Message, frozen=True, kw_only=True, tag=True):
    """The model is loaded and orders are taken."""

    model: str
    identity: str
    backend: str  # torch, mlx or fake
    device: str
    dtype: str
    layers: int
    context: int  # tokens
    seconds: float


class Chunk(Message, frozen=True, kw_only=True, tag=True):
    """Newly generated text. Never splits a character."""

    id: str
    text: str


class Progress(Message, frozen=True, kw_only=True, tag=True):
    """`phase` names what is being done, `done` of `total` steps of it; `detail` is for a person."""

    id: str
    phase: str
    done: int
    total: int
    detail: str = ""


class Saved(Message, frozen=True, kw_only=True, tag=True):
    """A phase's work is in the blob store: a cycle that is run again with it in its plan takes it from there."""

    id: str
    phase: str
    blob: str


class Done(Message, frozen=True, kw_only=True, tag=True):
    id: str
    result: Result


class Failed(Message, frozen=True, kw_only=True, tag=True):
    """`code` is a wire code of `sleepd.protocol.errors`. A failed load has id ""."""

    id: str
    code: str
    message: str


Report = Loading | Ready | Chunk | Progress | Saved | Done | Failed


def encode(message: Order | Report) -> bytes:
    """One framed message, length first."""
    body = msgspec.msgpack.encode(message)
    if len(body) > MAX_FRAME:
        raise ValueError(f"a host message of {len(body)} bytes exceeds {MAX_FRAME}")
    return len(body).to_bytes(4, "big") + body


def decode_order(body: bytes) -> Order:
    """Raises msgspec.ValidationError on anything that is not an order."""
    order: Order = msgspec.msgpack.decode(body, type=Order)
    return order


def decode_report(body: bytes) -> Report:
    """Raises msgspec.ValidationError on anything that is not a report."""
    report: Report = msgspec.msgpack.decode(body, type=Report)
    return report


def as_dict(value: Message) -> dict[str, Any]:
    """Plain data for JSON, without the tag."""
    data: dict[str, Any] = msgspec.to_builtins(value)
    data.pop("t", None)
    return data
