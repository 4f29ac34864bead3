"""A daemon that answers what a script says: for pictures, and for what a real one is too slow or too well to show."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from sleepd.protocol import messages
from sleepd.protocol.facts import FactInfo, HistoryEntry, RefusedText, ValueSpan, WhyReply
from sleepd.protocol.messages import FailedFact, PhaseReport, PhaseSpan, SleepReply, StatusReply
from tests.unit.client_fake import STATUS, Exchange, FakeDaemon, Handler, fact


@dataclass(frozen=True)
class Script:
    """What the daemon says."""

    status: StatusReply
    facts: tuple[FactInfo, ...] = ()
    refused: tuple[RefusedText, ...] = ()
    reports: tuple[SleepReply, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)


def scripted_daemon(home: Path, script: Script) -> FakeDaemon:
    """The two sockets of a daemon in that home, and `daemon.json`."""
    return FakeDaemon(home, handlers(script))


def handlers(script: Script) -> dict[str, Handler]:
    """An answer for whatever the companion asks."""
    by_id = {f.id: f for f in script.facts}
    by_cycle = {r.cycle: r for r in script.reports}

    def why(e: Exchange) -> None:
        assert isinstance(e.body, messages.Why)
        known = by_id[e.body.id]
        at = "2026-03-14T18:20:00Z"
        fields = {name: getattr(known, name) for name in known.__struct_fields__}
        history = [HistoryEntry(at=at, event="remembered"), HistoryEntry(at=at, event="learned", detail="chat, text")]
        earlier = ValueSpan(id="f-0", statement="You live in Porto.", valid_from="2025-06-01T09:00:00Z", until=at)
        values = (earlier, ValueSpan(id=known.id, statement=known.statement, valid_from=at))
        provenance = {"text": known.statement, "source": "chat", "at": at, **script.provenance}
        e.done(WhyReply(**fields, provenance=provenance, history=tuple(history), values=values))

    def report(e: Exchange) -> None:
        assert isinstance(e.body, messages.Report)
        cycle = e.body.cycle or max(by_cycle, default=0)
        if cycle in by_cycle:
            e.done(by_cycle[cycle])
        else:
            e.error("not_found", "there was no such cycle")

    health = messages.HealthReply(
        perplexity=18.42,
        base_perplexity=18.37,
        drift=0.0121,
        tokens=4096,
        canaries=tuple(messages.CanaryAnswer(question="?", answer="!", accepted=n < 11) for n in range(12)),
        seconds=3.0,
    )
    return {
        "snapshot": lambda e: e.done(messages.SnapshotReply(epoch=script.status.epoch, seq=0, status=script.status)),
        "status": lambda e: e.done(script.status),
        "ping": lambda e: e.done(messages.Pong(pid=1, epoch=script.status.epoch)),
        "facts": lambda e: e.done(messages.FactsReply(facts=script.facts, refused=script.refused)),
        "why": why,
        "report": report,
        "health": lambda e: e.done(health),
    }


def status(**changes: Any) -> StatusReply:
    return msgspec.structs.replace(STATUS, **changes)


# --- what the pictures show ---------------------------------------------------------------------------------------

_STATEMENTS = (
    "Your dog is called Biscuit.",
    "You live in Lisbon.",
    "Idris Larsson works as a carpenter.",
    "Mara Lindqvist plays the cello.",
    "Tomas Berg was born in Gdansk.",
    "Your sister is called Ines.",
    "Ines lives in Coimbra.",
    "Your favourite tea is oolong.",
    "Nils Holm speaks Finnish.",
    "The spare key hangs behind the blue door.",
    "Aiko Tanabe founded Halden Instruments.",
    "Your bicycle is a green Peugeot.",
)


def _facts(statements: tuple[str, ...]) -> tuple[FactInfo, ...]:
    stages = (2, 2, 1, 2, 1, 0, 0, 2, 1, 0, 0, 0)
    made = [fact(f"f-{n + 1}", statement=s, stage=stages[n % len(stages)]) for n, s in enumerate(statements)]
    return (*made, fact("f-0", statement="You live in Porto.", state="superseded"))


def _phase(ppl: float, change: float, recall: float, **more: Any) -> PhaseReport:
    return PhaseReport(
        ppl_before=ppl,
        ppl_after=ppl * (1 + change),
        recall_raw=max(0.0, recall - 0.06),
        recall_chat=recall,
        steps=180,
        seconds=640.0,
        drift=0.012,
        leaked=0.01,
        **more,
    )


_COURSE = (
    ("curate", 70), ("sws train", 640), ("sws gate", 80), ("dream", 190), ("rem train", 330), ("rem gate", 90),
    ("commit", 45),
)  # fmt: skip
_NAP = (("curate", 20), ("nap train", 110), ("nap gate", 35))


def _spans(course: tuple[tuple[str, int], ...]) -> tuple[PhaseSpan, ...]:
    spans, at = [], 0.0
    for phase, seconds in course:
        spans.append(PhaseSpan(phase=phase, start=at, end=at + seconds))
        at += seconds
    return tuple(spans)


def _night(cycle: int, statements: tuple[str, ...], **changes: Any) -> SleepReply:
    nap = cycle % 4 == 0
    recall = 0.97 - 0.3 * math.exp(-cycle / 3) - (0.08 if cycle == 7 else 0)
    started = datetime(2026, 3, 1, 2, 10, tzinfo=UTC) + timedelta(days=cycle, minutes=7 * cycle)
    course = _NAP if nap else _COURSE
    plain = SleepReply(
        cycle=cycle,
        kind="nap" if nap else "sleep",
        outcome="rejected" if cycle == 7 else "committed",
        reason="perplexity rose by 0.61 %, more than 0.5 % is allowed in a night" if cycle == 7 else "",
        advanced=() if nap else ("f-3", "f-4", "f-5", "f-1"),
        failed=() if nap else ("f-9",),
        failures=()
        if nap
        else (FailedFact(id="f-9", statement=statements[8], reason="not recalled on two questions"),),
        sws=_phase(18.4, 0.002 * math.sin(cycle), recall),
        rem=None if nap else _phase(18.4, 0.003 * math.cos(cycle), recall, joint=0.7, joint_before=0.5, dreams=9),
        generation=cycle,
        hypnogram=_spans(course),
        started=started.isoformat().replace("+00:00", "Z"),
        seconds=float(sum(seconds for _, seconds in course)),
    )
    return msgspec.structs.replace(plain, **changes)


_STORAGE = messages.StorageStatus(
    ledger=1_240_000,
    blobs=318_000_000,
    logs=2_100_000,
    total=321_400_000,
    free=182_000_000_000,
    budget=8 << 30,
)
_HOST = messages.HostStatus(pid=2, device="cpu", dtype="float32", resident_bytes=912_000_000)

FULL = Script(
    status=status(
        model="SmolLM2-135M-Instruct",
        pressure=0.46,
        need=messages.SleepNeed(edits=0.46, time=0.31, drift=0.12),
        next=messages.NextCycle(kind="sleep", seconds=19_800.0, facts=9),
        facts=messages.FactCounts(active=5, consolidating=3, consolidated=4),
        generation=11,
        host=_HOST,
        storage=_STORAGE,
        resident_bytes=61_000_000,
        uptime=186_000.0,
    ),
    facts=_facts(_STATEMENTS),
    refused=(
        RefusedText(text="My password is ********", reason="it holds a secret"),
        RefusedText(text="Paris is the capital of France.", reason="the model knows this already"),
    ),
    reports=tuple(_night(cycle, _STATEMENTS) for cycle in range(1, 12)),
)

EMPTY = Script(
    status=status(
        model="SmolLM2-135M-Instruct",
        pressure=0.0,
        generation=0,
        facts=messages.FactCounts(),
        next=messages.NextCycle(kind="nap", seconds=None, facts=28),
        host=_HOST,
        storage=msgspec.structs.replace(_STORAGE, blobs=0, ledger=98_000, total=140_000, logs=42_000),
        resident_bytes=58_000_000,
    )
)

_NAME = "Wilhelmina-Theodora van den Heuvel-Papadopoulou of Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch"
_LONG_STATEMENTS = tuple(
    f"{_NAME if n % 5 == 0 else 'Person ' + str(n)} works as a {'deputy ' * (n % 9)}carpenter in Town {n}."
    for n in range(1000)
)

LONG = Script(
    status=status(
        state="sleep",
        cycle=12,
        phase="rem train",
        model="an-organisation-with-a-long-name/A-Model-With-A-Very-Long-Name-135M-Instruct-2026",
        pressure=1.0,
        need=messages.SleepNeed(edits=1.0, time=1.0, drift=0.4),
        facts=messages.FactCounts(active=400, consolidating=300, consolidated=300),
        generation=11,
        host=msgspec.structs.replace(_HOST, restarts=2, error=None),
        storage=msgspec.structs.replace(
            _STORAGE,
            total=(8 << 30) - 5_000_000,
            quarantine=12_000_000,
            notices=("the memory has reached 95 % of its budget; old generations are removed to make room",),
        ),
        config_error="/home/somebody/.local/share/sleepd/config.toml: unknown setting 'lern'; did you mean 'learn'?",
        resident_bytes=61_000_000,
    ),
    facts=_facts(_LONG_STATEMENTS),
    refused=FULL.refused,
    reports=tuple(
        _night(cycle, _LONG_STATEMENTS, advanced=tuple(f"f-{n}" for n in range(1, 40))) for cycle in range(1, 60)
    ),
    provenance={"text": _LONG_STATEMENTS[0]},
)
