"""How memory is measured.

texts       the shipped reference texts, names and canary questions; imports no torch
recall      asking by generation, and matching the answer
perplexity  perplexity of a text by windows
drift       KL to the base on the base's own answers
work        work items run to their end
calibration settings of the editors for a model, found by trial
bench       the wake bench: facts and phrasings that nothing else sees
"""
