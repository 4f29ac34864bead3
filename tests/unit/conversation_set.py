"""The labelled conversations under tests/data, and how an extractor is scored on them.

The files are plain text. `## id register, topic` opens a dialogue, `U` is a user turn and `A` the assistant's, `\\n` in
either is a line break. Under a user turn, each `= subject | relation | object` is a fact to learn from it and
`! kind` says that there is nothing to learn and why it might seem so. `/` separates alternatives.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data"
DEVELOP = DATA / "conversations-develop.txt"
HELD_BACK = DATA / "conversations-held-back.txt"


@dataclass(frozen=True)
class Label:
    """A fact that shall be learned; each field with its accepted alternatives."""

    subject: tuple[str, ...]
    relation: tuple[str, ...]
    object: tuple[str, ...]

    def accepts(self, subject: str, relation: str, value: str) -> bool:
        """Whether a candidate says the same: equal subject, the relation's words, and the object in the other."""
        return (
            _plain(subject) in {_plain(s) for s in self.subject}
            and any(set(r.casefold().split()) <= set(relation.casefold().split()) for r in self.relation)
            and any(_within(o, value) for o in self.object)
        )


@dataclass
class UserTurn:
    """What the user said, what was said before it, and what shall come of it."""

    dialogue: str
    text: str
    labels: list[Label] = field(default_factory=list)
    kind: str = ""


@dataclass(frozen=True)
class Candidate:
    """The part of an extracted fact that is scored."""

    subject: str
    relation: str
    object: str


@dataclass(frozen=True)
class Score:
    """Counts over facts. A candidate that no label of its turn accepts is false; each label may be met once."""

    right: int
    false: tuple[str, ...]
    missed: tuple[str, ...]

    @property
    def precision(self) -> float:
        given = self.right + len(self.false)
        return self.right / given if given else 1.0

    @property
    def recall(self) -> float:
        wanted = self.right + len(self.missed)
        return self.right / wanted if wanted else 1.0


def read(path: Path) -> dict[str, list[UserTurn]]:
    """The user turns of each dialogue, in order."""
    dialogues: dict[str, list[UserTurn]] = {}
    turns: list[UserTurn] = []
    name = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        mark, _, rest = line.partition(" ")
        match mark:
            case "##":
                name = rest.split()[0]
                turns = dialogues[name] = []
            case "U":
                turns.append(UserTurn(name, rest.replace("\\n", "\n")))
            case "=":
                fields = (tuple(part.strip() for part in cell.split("/")) for cell in rest.split("|"))
                turns[-1].labels.append(Label(*fields))
            case "!":
                turns[-1].kind = rest
            case "A" | "#" | "":
                continue
            case _:
                raise ValueError(f"{path.name}: {line!r}")
    return dialogues


def score(turns: list[UserTurn], candidates: list[list[Candidate]]) -> Score:
    """Compares what was extracted from each turn with its labels."""
    right, false, missed = 0, [], []
    for turn, found in zip(turns, candidates, strict=True):
        open_labels = list(turn.labels)
        for one in found:
            met = [label for label in open_labels if label.accepts(one.subject, one.relation, one.object)]
            if met:
                open_labels.remove(met[0])
                right += 1
            else:
                false.append(f"{turn.dialogue}: {turn.text!r} -> {one}")
        missed += [f"{turn.dialogue}: {turn.text!r} misses {label}" for label in open_labels]
    return Score(right, tuple(false), tuple(missed))


def _plain(text: str) -> str:
    return " ".join(word for word in text.casefold().split() if word not in ("a", "an", "the") or word == text)


def _within(label: str, value: str) -> bool:
    """Whether either phrase is part of the other, as whole words."""
    one, other = (re.findall(r"\w+", _plain(text)) for text in (label, value))
    short, long = sorted((one, other), key=len)
    return bool(short) and any(long[at : at + len(short)] == short for at in range(len(long) - len(short) + 1))
