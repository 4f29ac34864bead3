"""What calibration found for a model, as it is stored beside it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from sleepengine.errors import BlobCorrupt
from sleepengine.memory.files import write_atomic
from sleepengine.wake.profile import EditProfile


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings for the model of this `identity`, and how they were found.

    `editor` is the one that did best, `capacity` by editor the number of facts up to which it holds, `seconds` how long
    the calibration took. A profile that is None was not calibrated.
    """

    identity: str
    editor: str
    memit: EditProfile | None = None
    capacity: dict[str, int] = {}
    date: str
    device: str
    seconds: float


def read(path: Path, identity: str) -> Calibration | None:
    """The calibration at `path`; None where there is none, or none of this model. Raises BlobCorrupt where it is damaged."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Calibration)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise BlobCorrupt(f"{path} is damaged ({error}); delete it, or run `sleepd calibrate` again") from error
    return found if found.identity == identity else None


def write(calibration: Calibration, path: Path) -> None:
    """Replace what stands at `path`."""
    write_atomic(path, msgspec.json.format(msgspec.json.encode(calibration), indent=2))
