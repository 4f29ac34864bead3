"""The control process: sockets, scheduling, the ledger's single writer, supervision of the host. No torch."""

__version__ = "0.1.0"
