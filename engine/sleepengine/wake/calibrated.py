"""What calibration found for a model, as it is stored beside it, and the settings that follow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from sleepengine.backends.base import ModelSpec
from sleepengine.errors import BlobCorrupt
from sleepengine.memory.files import write_atomic
from sleepengine.wake.profile import EditProfile, GateProfile, gate_profile_for, profile_for


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings for the model of this `identity`, and how they were found.

    `editor` is the one that did best, `capacity` by editor the number of facts up to which it holds, `seconds` how long
    the calibration took. A profile that is None was not calibrated.
    """

    identity: str
    editor: str
    gated: GateProfile | None = None
    memit: EditProfile | None = None
    capacity: dict[str, int] = {}
    date: str
    device: str
    seconds: float


@dataclass(frozen=True)
class Profiles:
    """Each editor's settings for one model."""

    gated: GateProfile
    memit: EditProfile


def read(path: Path, identity: str) -> Calibration | None:
    """The calibration at `path`; None where there is none, or none of this model.

    Raises BlobCorrupt where the file is damaged.
    """
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


def profiles_for(spec: ModelSpec, calibration: Calibration | None = None) -> Profiles:
    """The calibrated settings, else the shipped ones, else those derived from the model's depth."""
    return Profiles(
        gated=(calibration and calibration.gated) or gate_profile_for(spec),
        memit=(calibration and calibration.memit) or profile_for(spec),
    )
