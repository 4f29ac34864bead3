"""Consolidation while asleep.

pressure  how much sleep is needed (paper, Eq. 4); imports no torch
curation  what a night trains on: examples, anchors, strangers
sws       slow-wave sleep: LoRA training on every fact, with a KL anchor to the base
gates     per-fact recall and the perplexity gate
cycle     the phases of a night, in order
"""
