"""Encryption and identity for sockets that are reached through the network: CURVE keys, and who may use them.

The server's key pair lies in HOME/server.key. Admitted are the key pair that the daemon makes at each start for the
clients of this home (in `daemon.json`, which only its user can read), and the public keys in HOME/authorized_keys, one
a line. CURVE alone admits whoever knows the server's public key; the list is what keeps others out.
"""

from __future__ import annotations

import logging
from pathlib import Path

import zmq
import zmq.asyncio
from zmq.auth.asyncio import AsyncioAuthenticator

from sleepd.errors import translated
from sleepd.protocol.endpoint import CurveKeys
from sleepd.protocol.errors import UsageError
from sleepengine.memory import files

_Z85_BYTES = 40
_DOMAIN = "sleepd"
_log = logging.getLogger(__name__)


class Curve:
    """The daemon's side: makes sockets servers, and answers who is admitted until it is closed."""

    def __init__(self, context: zmq.asyncio.Context, key_file: Path, authorized: Path) -> None:
        """Raises StorageError, and UsageError for a list that holds what is no key."""
        self._public, self._secret = _server_keys(key_file)
        client_public, client_secret = zmq.curve_keypair()
        self._admitted = {client_public, *_listed(authorized)}
        self.client_keys = CurveKeys(
            server=self._public.decode(), public=client_public.decode(), secret=client_secret.decode()
        )
        self._authenticator = AsyncioAuthenticator(context)
        self._authenticator.start()
        self._authenticator.configure_curve_callback(domain=_DOMAIN, credentials_provider=self)

    def protect(self, socket: zmq.asyncio.Socket) -> None:
        """Let nobody in without a key of the list. Call it before the socket is bound."""
        socket.curve_publickey = self._public
        socket.curve_secretkey = self._secret
        socket.curve_server = True
        socket.zap_domain = _DOMAIN.encode()

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether a client's public key is admitted; called by the authenticator."""
        admitted = key in self._admitted
        if not admitted:
            _log.warning("a client with an unknown key was turned away")
        return admitted

    def close(self) -> None:
        self._authenticator.stop()


def _server_keys(path: Path) -> tuple[bytes, bytes]:
    with translated():
        if not path.exists():
            _, secret = zmq.curve_keypair()
            files.write_atomic(path, secret + b"\n", site="key")
        with files.translated(path):
            secret = path.read_bytes().strip()
    if len(secret) != _Z85_BYTES:
        raise UsageError(f"{path} is no CURVE secret key; remove it, and a new one is made")
    return zmq.curve_public(secret), secret


def _listed(path: Path) -> list[bytes]:
    """The public keys of a list; `#` begins a comment."""
    if not path.exists():
        return []
    with translated(), files.translated(path):
        lines = path.read_text(encoding="utf-8").splitlines()
    keys = []
    for number, line in enumerate(lines, 1):
        word = line.split("# ", 1)[0].strip()
        if word.startswith("#") or not word:
            continue
        if len(word) != _Z85_BYTES:
            raise UsageError(f"{path}, line {number}: not a CURVE public key of {_Z85_BYTES} characters")
        keys.append(word.encode())
    return keys
