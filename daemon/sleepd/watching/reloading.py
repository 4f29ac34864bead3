"""Settings that change while the daemon runs: read when the file changes, kept as they are where it is wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from sleepd import config as configuration
from sleepd.config import Config
from sleepd.protocol.errors import SleepdError
from sleepd.serving.events import EventBus

_log = logging.getLogger(__name__)


class Reloading:
    """Reads the file again when told to; `apply` hands what changed to those who use it."""

    def __init__(self, path: Path, config: Config, bus: EventBus, apply: Callable[[Config], None]) -> None:
        self.error: str | None = None  # why the file as it stands now is not in force
        self._path = path
        self._config = config
        self._bus = bus
        self._apply = apply

    def read(self) -> None:
        """Take the file's settings over, or say why not, as an event and in `status`."""
        try:
            fresh = configuration.load(self._path)
        except SleepdError as error:
            if str(error) != self.error:
                self.error = str(error)
                _log.error("the settings stay as they were: %s", error)
                self._bus.publish("config", error=self.error)
            return
        self.error = None
        before = dict(configuration.keys(self._config))
        changed = [key for key, value in configuration.keys(fresh) if before[key] != value]
        if not changed:
            return
        self._config = fresh
        self._apply(fresh)
        later = [key for key in changed if key.partition(".")[0] in configuration.AT_START]
        _log.info("settings changed: %s", ", ".join(changed))
        self._bus.publish("config", changed=changed, at_restart=later)
