"""The protocol between clients and the daemon: the only part of sleepd that clients import.

errors    the error tree: wire codes and exit codes
messages  every request, reply and event as a typed value; defined in talk, facts, nights, state, control
wire      frames: encoding, strict decoding, limits
endpoint  `daemon.json`, by which clients find the daemon
boundary  how the commands end: errors to exit codes (imports click, and only the commands import it)

All else imports stdlib, msgpack and msgspec only.
"""

VERSION = 1
"""The protocol's own version; `docs/protocol.md` describes it."""
