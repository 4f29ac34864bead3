"""What is remembered and how it is stored. `facts`, `ledger`, `blobs` and `files` import no torch."""
