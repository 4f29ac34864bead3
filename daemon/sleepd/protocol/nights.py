"""Naps and nights in the protocol: beginning, ending, undoing them, and their reports."""

from __future__ import annotations

from sleepd.protocol.body import Body, Number


class PhaseReport(Body, frozen=True, kw_only=True):
    """What a phase measured: perplexity on text that training never sees, recall on phrasings kept for gates."""

    ppl_before: float
    ppl_after: float
    recall_raw: float
    recall_chat: float
    steps: int
    seconds: float
    tokens: int = 0  # trained on
    drift: float = 0.0  # nats a token from the bare base's own answers
    leaked: float = 0.0  # share of near names that got a taught answer
    joint: float | None = None  # share of questions for two facts at once that were answered
    joint_before: float | None = None
    dreams: int = 0
    refusal: str = ""  # why the phase's work was thrown away


class PhaseSpan(Body, frozen=True, kw_only=True):
    phase: str
    start: float  # seconds since the cycle began
    end: float


class FailedFact(Body, frozen=True, kw_only=True):
    id: str
    statement: str
    reason: str


class Sleep(Body, frozen=True, kw_only=True):
    """Begin a cycle. With `wait` it streams `progress` and ends with the report, else with the cycle's number."""

    wait: bool = False


class SleepReply(Body, frozen=True, kw_only=True):
    """A cycle's report. `outcome` is committed, rejected, aborted, nothing, or started (without `wait`)."""

    cycle: int
    kind: str
    outcome: str
    reason: str = ""
    advanced: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    failures: tuple[FailedFact, ...] = ()
    sws: PhaseReport | None = None
    rem: PhaseReport | None = None
    generation: int = 0
    hypnogram: tuple[PhaseSpan, ...] = ()
    drift: float = 0.0
    started: str = ""
    seconds: float = 0.0
    rebuilt: str = ""  # why the adapter was trained from the bare base again; empty: it was trained on
    attempts: int = 1  # runs that were begun; above 1 after a crash
    peak_bytes: int = 0  # the most memory that the model's process held at once


class Nap(Sleep, frozen=True, kw_only=True):
    """Begin a nap: a few training steps that change no edit. Streams and ends like `sleep`."""


class Undo(Body, frozen=True, kw_only=True):
    """Return to the previous generation, with the stages and scales that it found. Streams `progress`."""


class UndoReply(Body, frozen=True, kw_only=True):
    """`learned` are later facts that were edited in again under that generation, `suppressed` ones that no longer
    hold."""

    generation: int
    learned: tuple[str, ...] = ()
    suppressed: tuple[str, ...] = ()


class Wake(Body, frozen=True, kw_only=True):
    """Abort the running cycle at its next safe point."""


class WakeReply(Body, frozen=True, kw_only=True):
    cycle: int | None
    aborted: bool


class Report(Body, frozen=True, kw_only=True):
    """A finished cycle's report; None is the latest."""

    cycle: Number | None = None
