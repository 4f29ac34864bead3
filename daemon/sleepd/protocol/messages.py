"""Every request, reply and event, and which reply ends which request.

The messages are defined by subject (`talk`, `facts`, `nights`, `export`, `state`, `control`) and are all found here.
Unknown fields are ignored, so that a newer peer may add some; unknown types are answered with a `protocol` error.
"""

from __future__ import annotations

from sleepd.protocol.body import (
    MAX_ID as MAX_ID,
    MAX_TEXTS as MAX_TEXTS,
    Body as Body,
    Id as Id,
    Number as Number,
    ViewName as ViewName,
)
from sleepd.protocol.control import (
    Cancel as Cancel,
    CancelReply as CancelReply,
    Chunk as Chunk,
    Error as Error,
    Ping as Ping,
    Pong as Pong,
    Progress as Progress,
    Shutdown as Shutdown,
    ShutdownReply as ShutdownReply,
    Unload as Unload,
    UnloadReply as UnloadReply,
)
from sleepd.protocol.export import (
    Export as Export,
    ExportReply as ExportReply,
    LeftOut as LeftOut,
)
from sleepd.protocol.facts import (
    Correct as Correct,
    CorrectReply as CorrectReply,
    ExportFacts as ExportFacts,
    ExportFactsReply as ExportFactsReply,
    FactInfo as FactInfo,
    Facts as Facts,
    FactsReply as FactsReply,
    Forget as Forget,
    ForgetReply as ForgetReply,
    HeardReply as HeardReply,
    HearTurns as HearTurns,
    HistoryEntry as HistoryEntry,
    ImportFacts as ImportFacts,
    RefusedText as RefusedText,
    Remember as Remember,
    RememberReply as RememberReply,
    TakeBack as TakeBack,
    TakeBackReply as TakeBackReply,
    Verified as Verified,
    Why as Why,
    WhyReply as WhyReply,
)
from sleepd.protocol.nights import (
    FailedFact as FailedFact,
    Nap as Nap,
    PhaseReport as PhaseReport,
    PhaseSpan as PhaseSpan,
    Report as Report,
    Sleep as Sleep,
    SleepReply as SleepReply,
    Undo as Undo,
    UndoReply as UndoReply,
    Wake as Wake,
    WakeReply as WakeReply,
)
from sleepd.protocol.state import (
    CanaryAnswer as CanaryAnswer,
    DaemonState as DaemonState,
    Event as Event,
    FactCounts as FactCounts,
    Health as Health,
    HealthReply as HealthReply,
    HostStatus as HostStatus,
    MetricsReply as MetricsReply,
    MetricsRequest as MetricsRequest,
    NextCycle as NextCycle,
    SleepNeed as SleepNeed,
    Snapshot as Snapshot,
    SnapshotReply as SnapshotReply,
    Status as Status,
    StatusReply as StatusReply,
    StorageStatus as StorageStatus,
)
from sleepd.protocol.talk import (
    MAX_TOKENS as MAX_TOKENS,
    MAX_TURNS as MAX_TURNS,
    Ask as Ask,
    AskReply as AskReply,
    ChatTurn as ChatTurn,
    Complete as Complete,
    CompleteReply as CompleteReply,
    Generation as Generation,
    OpenSession as OpenSession,
    OpenSessionReply as OpenSessionReply,
    RemoveSessions as RemoveSessions,
    RemoveSessionsReply as RemoveSessionsReply,
    Say as Say,
    SayReply as SayReply,
    SessionInfo as SessionInfo,
    Sessions as Sessions,
    SessionsReply as SessionsReply,
)

REQUESTS: dict[str, tuple[type[Body], type[Body]]] = {
    "ping": (Ping, Pong),
    "status": (Status, StatusReply),
    "ask": (Ask, AskReply),
    "complete": (Complete, CompleteReply),
    "open_session": (OpenSession, OpenSessionReply),
    "sessions": (Sessions, SessionsReply),
    "remove_sessions": (RemoveSessions, RemoveSessionsReply),
    "say": (Say, SayReply),
    "remember": (Remember, RememberReply),
    "heard": (HearTurns, HeardReply),
    "facts": (Facts, FactsReply),
    "why": (Why, WhyReply),
    "forget": (Forget, ForgetReply),
    "correct": (Correct, CorrectReply),
    "take_back": (TakeBack, TakeBackReply),
    "export_facts": (ExportFacts, ExportFactsReply),
    "import_facts": (ImportFacts, RememberReply),
    "sleep": (Sleep, SleepReply),
    "nap": (Nap, SleepReply),
    "undo": (Undo, UndoReply),
    "wake": (Wake, WakeReply),
    "report": (Report, SleepReply),
    "export": (Export, ExportReply),
    "health": (Health, HealthReply),
    "snapshot": (Snapshot, SnapshotReply),
    "cancel": (Cancel, CancelReply),
    "metrics": (MetricsRequest, MetricsReply),
    "unload": (Unload, UnloadReply),
    "shutdown": (Shutdown, ShutdownReply),
}

MUTATING = frozenset(
    {
        "remember",
        "forget",
        "correct",
        "take_back",
        "import_facts",
        "export",
        "say",
        "sleep",
        "nap",
        "undo",
        "wake",
        "shutdown",
        "open_session",
        "remove_sessions",
    }
)
"""Requests whose repetition under the same id returns the first result."""
