"""Which model a command means, and having it on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sleepd import config as configuration
from sleepd.cli.options import Common
from sleepd.protocol.errors import from_code
from sleepengine.errors import EngineError

if TYPE_CHECKING:
    from sleepengine.models.registry import ModelRecord


def chosen_model(own: Common, name: str | None) -> str:
    """The canonical name of a model, by default of the configured one. Raises NotFound for what cannot be one."""
    from sleepengine.models.registry import canonical_name

    try:
        return canonical_name(name or configuration.load(own.place.config_file).model)
    except EngineError as error:
        raise from_code(error.code, str(error)) from error


def fetch(own: Common, name: str) -> ModelRecord:
    """The model's record, after a pull where it is not on disk. Raises the pull's error."""
    from sleepd.cli import launching
    from sleepd.cli.progress import pull_progress
    from sleepengine.models.registry import resolve

    with pull_progress(name) as show:
        launching.ensure_model(name, own.place, show)
    return resolve(name, own.place.models)
