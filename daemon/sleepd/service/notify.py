"""Telling systemd how the service is: the datagrams of sd_notify(3), and nothing where no systemd asked for them."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Self

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Notifier:
    """`address` None: nobody listens. `watchdog` is in seconds; None where no proof of life is wanted."""

    address: str | None = None
    watchdog: float | None = None

    @classmethod
    def take(cls, environment: MutableMapping[str, str]) -> Self:
        """What the service manager set for this process, taken out so that no child believes it is meant."""
        address = environment.pop("NOTIFY_SOCKET", None)
        microseconds = environment.pop("WATCHDOG_USEC", "")
        meant = environment.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog = int(microseconds) / 1e6 if meant and microseconds.isdigit() else None
        return cls(address or None, watchdog if address else None)

    @property
    def in_service(self) -> bool:
        return self.address is not None

    def send(self, **fields: str | int) -> None:
        """For example `send(READY=1, STATUS="awake")`. A manager that cannot be reached is no reason to fail."""
        if self.address is None:
            return
        where = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        message = "\n".join(f"{name}={' '.join(str(value).split())}" for name, value in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.connect(where)
                sock.sendall(message.encode())
        except OSError as error:
            _log.warning("the service manager was not told %s: %s", "/".join(fields), error.strerror or error)
