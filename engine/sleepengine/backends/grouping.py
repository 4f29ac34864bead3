"""Which sequences run together: those that begin alike share a prefix, and no padded group grows beyond a budget."""

from __future__ import annotations

from collections.abc import Sequence

from sleepengine.backends.base import Tokens


def common_prefix(sequences: Sequence[Tokens], limit: int) -> int:
    """Length of the prefix that all sequences share, at most `limit`."""
    first = sequences[0]
    length = min(limit, min(map(len, sequences)))
    for index in range(length):
        if any(s[index] != first[index] for s in sequences):
            return index
    return length


def chunks(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Group indices, longest first, so that no padded group holds more than `budget` tokens (or one sequence)."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    groups: list[list[int]] = []
    for index in order:
        if groups and (len(groups[-1]) + 1) * lengths[groups[-1][0]] <= budget:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def families(sequences: Sequence[Tokens], on_cpu: bool, head: int = 8) -> list[list[int]]:
    """Indices of sequences that begin alike in at least `head` tokens (chats do, raw texts do not), so that each family
    shares a prefix; those that share none are one family. On a GPU, where starting a pass costs more than the prefix,
    all are one."""
    if not on_cpu:
        return [list(range(len(sequences)))] if sequences else []
    groups: dict[Tokens, list[int]] = {}
    for index, sequence in enumerate(sequences):
        groups.setdefault(sequence[:head], []).append(index)
    alike = [g for g in groups.values() if len(g) > 1]
    lone = [g[0] for g in groups.values() if len(g) == 1]
    return alike + ([lone] if lone else [])
