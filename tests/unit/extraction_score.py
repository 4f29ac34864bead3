"""How a reader does on a half of the labelled conversations, its own context kept turn by turn."""

from __future__ import annotations

from pathlib import Path

from sleepengine.wake.extraction.candidates import Certainty, Context, Reader
from sleepengine.wake.extraction.secrets import secret_in
from tests.unit.conversation_set import Candidate, Score, read, score


def run(reader: Reader, path: Path) -> Score:
    """Reads every dialogue of a file and scores what was certain."""
    turns, found = [], []
    for dialogue in read(path).values():
        context = Context()
        for turn in dialogue:
            reading = reader.read(turn.text, context)
            certain = [c.fact for c in reading.candidates if c.certainty is Certainty.CERTAIN and not secret_in(c.said)]
            context = Context((*context.before, turn.text), tuple(certain))
            turns.append(turn)
            found.append([Candidate(f.subject, f.relation, f.object) for f in certain])
    return score(turns, found)
