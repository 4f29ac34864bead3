"""The reference texts that ship with the engine: read-only, in English, written for this project.

What is measured never overlaps what is fitted. `covariance` (second moments of MLP keys) and the `anchor` texts (KL
to the base model) shape the memory, `gate` decides whether a cycle commits, `report` is for benchmarks and reports
only. No two share a sentence; a test holds them apart.

Knows the files under `sleepengine/data`, not what they are used for in numbers. Loads no torch.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

import msgspec

_PARAGRAPH_BREAK = re.compile(r"\n{2,}")


class Names(msgspec.Struct, frozen=True):
    """Given and family names of many cultures, from which strangers are invented."""

    first: tuple[str, ...]
    last: tuple[str, ...]


class Canary(msgspec.Struct, frozen=True):
    """A question of general knowledge that a small model answers; losing one is a sign of damage."""

    question: str
    answers: tuple[str, ...]

    def accepts(self, reply: str) -> bool:
        """Whether any accepted answer stands in `reply` as a whole word, in any case."""
        return any(re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", reply, re.IGNORECASE) for answer in self.answers)


def covariance_texts() -> list[str]:
    """Paragraphs of many registers, in the files' order; every stretch of a thousand words is varied."""
    parts = sorted(
        (entry for entry in _data("reference").iterdir() if re.fullmatch(r"covariance-\d+\.txt", entry.name)),
        key=lambda entry: entry.name,
    )
    return [paragraph for part in parts for paragraph in _paragraphs(part.read_text(encoding="utf-8"))]


def gate_text() -> str:
    """The text of the perplexity gate. Never train or fit on it."""
    return _read("reference", "gate.txt")


def report_text() -> str:
    """The text of reports and benchmarks. No gate and no training reads it."""
    return _read("reference", "report.txt")


def anchor_prose() -> list[str]:
    """Short paragraphs (30 to 50 words) on which a student is held to the base model's distribution."""
    return _paragraphs(_read("anchors", "prose.txt"))


def anchor_questions() -> list[str]:
    """User turns whose answers by the base model become anchors; none speaks about the user."""
    return _read("anchors", "chat.txt").splitlines()


@cache
def names() -> Names:
    """The names for invented strangers."""
    return msgspec.json.decode(_read("names.json"), type=Names)


@cache
def canaries() -> tuple[Canary, ...]:
    """The questions asked before and after a sleep."""
    return msgspec.json.decode(_read("canaries.json"), type=tuple[Canary, ...])


def _data(*path: str) -> Traversable:
    return files("sleepengine").joinpath("data", *path)


def _read(*path: str) -> str:
    return _data(*path).read_text(encoding="utf-8").strip()


def _paragraphs(text: str) -> list[str]:
    return _PARAGRAPH_BREAK.split(text.strip())
