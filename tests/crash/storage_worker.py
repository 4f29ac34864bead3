"""Learns facts and sleeps in a home folder until it is killed; run as a script by test_storage_kill.

Each line on stdout is an acknowledgement, written after the commit that it speaks of: `fact ID SHA`, `forgot ID`,
`generation NUMBER SHA`.
"""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.facts import Parsed, Person, Provenance, Stage, Verified, fact_from
from sleepengine.memory.ledger import Advance, Learned, Ledger, utc_now

MODEL = "model"
SLOTS = 6


def acknowledge(*words: object) -> None:
    os.write(sys.stdout.fileno(), (" ".join(map(str, words)) + "\n").encode())


def learn(ledger: Ledger, blobs: BlobStore, turn: int) -> None:
    exclusive = turn % 2 == 0
    parsed = Parsed(
        subject="Idris",
        relation="like",
        object=f"thing {turn}",
        statement=f"Idris likes thing {turn}.",
        person=Person.THIRD,
        slot=f"slot {turn % SLOTS}",
        exclusive=exclusive,
        prompts=(),
    )
    fact = fact_from(parsed, Provenance(source="chat", text=parsed.statement, at=utc_now()))
    ledger.add_pending([fact])
    sha = blobs.put(f"edit of {fact.id}".encode() + os.urandom(5000))
    _, generation = ledger.generation(MODEL)
    verified = Verified(raw=True, chat=True)
    ledger.commit_learned(MODEL, generation, [Learned(fact_id=fact.id, blob=sha, verified=verified)])
    acknowledge("fact", fact.id, sha)


def forget_oldest(ledger: Ledger) -> None:
    fact_id = ledger.live_view(MODEL).edits[0].fact_id
    ledger.forget([fact_id], utc_now())
    acknowledge("forgot", fact_id)


def sleep(ledger: Ledger, blobs: BlobStore) -> None:
    cycle = ledger.begin_cycle("sleep", utc_now())
    ledger.note_phase(cycle, "sws", utc_now())
    sha = blobs.put(os.urandom(20000))
    advances = [
        Advance(fact_id=e.fact_id, stage=Stage.CONSOLIDATING, scale=0.5, blob=e.blob, verified=Verified(raw=True))
        for e in ledger.live_view(MODEL).edits
    ]
    acknowledge("generation", ledger.commit_cycle(cycle, MODEL, sha, advances, {}, utc_now()), sha)


def main(home: Path) -> None:
    ledger, blobs = Ledger.open(home / "ledger.db"), BlobStore(home / "blobs")
    interrupted = ledger.open_cycle()
    if interrupted is not None:
        ledger.end_cycle(interrupted.number, "aborted", {}, utc_now())
    acknowledge("ready")
    for turn in itertools.count():
        learn(ledger, blobs, turn)
        if turn % 5 == 3:
            sleep(ledger, blobs)
            forget_oldest(ledger)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
