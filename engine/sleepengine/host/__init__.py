"""The process that owns the model. `messages` is what it exchanges with its parent and imports no torch."""
