"""Everything that touches weights, usable as a library without the daemon.

models/      find, pull, verify, convert and load a base model
backends/    the narrow interface to torch (and a fake one for tests)
memory/      facts, ledger, blobs, edit factors, adapter generations, the memory view, crash-safe file writes
wake/        statement grammar, key/value capture, value optimisation, editors
sleep/       curation, SWS training, gates, the cycle's state machine
evaluation/  recall, perplexity, drift
export/      what was learned as a PEFT adapter or a merged checkpoint
host/        the process that owns the model, and the messages it exchanges with its parent

Importing this package, `memory`, `wake.grammar` or `host.messages` loads no torch: the daemon relies on that.
"""
