"""Every setting of the daemon, in one typed place, and the file that changes them.

`HOME/config.toml` holds what differs from the defaults. Settings with a dot live in a table: `sleep.rank` is `rank`
in `[sleep]`. An unknown key is an error that names the nearest known one.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from sleepd.errors import translated
from sleepd.protocol.errors import NotFound, StorageError, UsageError
from sleepd.sleep.bedtime import ScheduleSettings
from sleepengine.memory import files
from sleepengine.sleep.settings import SleepSettings

DEFAULT_MODEL = "SmolLM2-135M-Instruct"

AT_START = ("model", "backend", "device", "dtype", "threads", "nice", "log_bytes", "network")
"""Settings and tables that a running daemon keeps until it is started anew."""

Scalar = str | int | float | bool
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class PressureSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the need for sleep counts as full."""

    max_edits: Count = 50  # n_max of the paper's Eq. 4: stage-0 facts at which pressure is 1
    full_after: Annotated[float, msgspec.Meta(gt=0)] = 72 * 3600.0  # seconds since the last sleep at which p_time is 1
    full_drift: Annotated[float, msgspec.Meta(gt=0)] = 0.1  # nats a token from the base at which p_drift is 1


class LimitSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds that keep one client, or one bad day, from taking everything."""

    requests: Count = 128  # requests in work at once, over all clients
    requests_per_client: Count = 32  # of these, for one connection
    text_bytes: Count = 16 * 1024  # of one statement to remember
    learn_batch: Count = 8  # facts edited together
    events_kept: Count = 1024  # for replay
    replies_kept: Count = 1024  # results of mutating requests, by request id
    stop_grace: Seconds = 10.0  # for the host to reach a safe point when the daemon stops
    beat_seconds: Annotated[float, msgspec.Meta(gt=0)] = 30.0  # between two looks at the model process
    host_patience: Annotated[float, msgspec.Meta(gt=0)] = 90.0  # seconds without progress after which it is ended
    load_patience: Annotated[float, msgspec.Meta(gt=0)] = 900.0  # the same while it loads
    unload_after: Seconds = 1800.0  # of idleness, then the model's memory is freed until it is needed; 0: never


class StorageSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept on disk."""

    keep_generations: Count = 2  # before the active one; that many nights can be undone
    budget_bytes: Annotated[int, msgspec.Meta(ge=0)] = 8 << 30  # of one memory, models not counted; 0: no limit
    min_free_bytes: Annotated[int, msgspec.Meta(ge=0)] = 64 << 20  # on the disk, below which nothing is learned
    transcript_days: Count = 30  # after its last turn a conversation is deleted
    quarantine_days: Count = 90  # damaged and replaced files


class NetworkSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where clients reach the daemon."""

    listen: str = ""  # empty: sockets in the home, for this user alone; else tcp://HOST:PORT, for listed keys


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings with their defaults."""

    model: str = DEFAULT_MODEL  # a name of `sleepd model list`, a Hugging Face id, or a path
    backend: Literal["auto", "torch", "mlx", "fake"] = "auto"  # mlx by itself: on Apple silicon, and for MLX's models
    device: str = "auto"  # auto, cpu, cuda, cuda:N, mps; with mlx auto, cpu, gpu
    dtype: Literal["auto", "float32", "bfloat16", "float16", "int8"] = "auto"  # of the weights; int8 is for CPUs
    editor: Literal["gated", "memit"] = "gated"  # how facts are edited in while awake
    learn: Literal["auto", "ask", "off"] = "auto"  # from chat: at once, only after a yes, or only when told to
    threads: Annotated[int, msgspec.Meta(ge=0)] = 0  # of the model process; 0: one for each core
    nice: Annotated[int, msgspec.Meta(ge=0, le=19)] = 5  # by which the model process lets others go first
    extraction: Literal["grammar", "model"] = "grammar"  # model: it restates what the grammar cannot read; from 1B on
    log_level: Literal["debug", "info", "warning", "error"] = "info"  # the least that is logged
    log_bytes: Count = 4 * 1024 * 1024  # of one log file before it rotates
    pressure: PressureSettings = PressureSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    limits: LimitSettings = LimitSettings()
    storage: StorageSettings = StorageSettings()
    network: NetworkSettings = NetworkSettings()
    sleep: SleepSettings = SleepSettings()


def load(path: Path) -> Config:
    """The settings of a file; the defaults where there is none. Raises UsageError, which names file and key."""
    return _typed(_read(path), path)


def keys(config: Config) -> Iterator[tuple[str, Scalar]]:
    """Every setting by its dotted key, with its value."""
    for name, value in msgspec.to_builtins(config).items():
        if isinstance(value, dict):
            for inner, scalar in value.items():
                if inner != "t":  # the tag of a host message
                    yield f"{name}.{inner}", scalar
        else:
            yield name, value


def get(path: Path, key: str) -> Scalar:
    """One setting. Raises NotFound, which names the nearest known key."""
    known = dict(keys(load(path)))
    if key not in known:
        raise NotFound(_unknown(key, list(known)))
    return known[key]


def set_value(path: Path, key: str, text: str) -> Scalar:
    """Write one setting, keeping the file's other lines and comments; returns the value as it is now typed."""
    known = dict(keys(Config()))
    if key not in known:
        raise NotFound(_unknown(key, list(known)))
    value = _parse(key, text, known[key])
    lines = _with_value(_read_lines(path), key, value)
    content = "".join(f"{line}\n" for line in lines)
    try:
        table = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {error}") from None
    config = _typed(table, path)
    _write(path, content)
    return dict(keys(config))[key]


# --- reading ------------------------------------------------------------------------------------------------------


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads("\n".join(_read_lines(path)))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {error}") from None


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8") from None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from None


def _typed(table: dict[str, Any], path: Path) -> Config:
    known = [key for key, _ in keys(Config())]
    tables = {key.partition(".")[0] for key in known if "." in key}
    for name, value in table.items():
        given = [f"{name}.{inner}" for inner in value] if name in tables and isinstance(value, dict) else [name]
        for key in given:
            if key not in known and key not in tables:
                raise UsageError(f"{path}: {_unknown(key, known)}")
    try:
        return msgspec.convert(table, Config)
    except msgspec.ValidationError as error:
        raise UsageError(f"{path}: {error}") from None


def _unknown(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
    return f"unknown setting {key!r}; did you mean {near[0]!r}?" if near else f"unknown setting {key!r}"


# --- writing ------------------------------------------------------------------------------------------------------


def _parse(key: str, text: str, default: Scalar) -> Scalar:
    """Read a word of the command line as the type that the setting has."""
    try:
        match default:
            case bool():
                return {"true": True, "false": False}[text.lower()]
            case int():
                return int(text)
            case float():
                return float(text)
            case _:
                return text
    except (KeyError, ValueError):
        raise UsageError(f"{key}: expected a value like {default!r}, got {text!r}") from None


def _with_value(lines: list[str], key: str, value: Scalar) -> list[str]:
    """The file's lines with one assignment replaced or added, in its own table."""
    table, _, name = key.rpartition(".")
    assignment = f"{name} = {json.dumps(value, ensure_ascii=False)}"
    start, end = _section(lines, table)
    if start is None:
        return [*lines, *([""] if lines else []), f"[{table}]", assignment]
    for at in range(start, end):
        if lines[at].partition("=")[0].strip() == name:
            return [*lines[:at], assignment, *lines[at + 1 :]]
    while end > start and not lines[end - 1].strip():
        end -= 1
    return [*lines[:end], assignment, *lines[end:]]


def _section(lines: list[str], table: str) -> tuple[int | None, int]:
    """The half-open range of lines that belongs to a table; "" is what stands before the first header."""
    start = 0 if table == "" else None
    for at, line in enumerate(lines):
        if line.lstrip().startswith("["):
            if start is not None:
                return start, at
            if line.strip().strip("[]").strip() == table:
                start = at + 1
    return start, len(lines)


def _write(path: Path, content: str) -> None:
    with translated():
        files.write_atomic(path, content.encode(), site="config")
