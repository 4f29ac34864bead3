"""The client: a click command line over the daemon's socket. Imports `sleepd.protocol` only, never torch."""
