"""Consolidation while asleep.

pressure   how much sleep is needed (paper, Eq. 4); imports no torch
settings   every setting of sleep; imports no torch
report     what a cycle is told and what it reports; imports no torch
replay     which facts a night trains on
curation   lessons and anchors
rows       prompts as rows of a training step
contrasts  what keeps a fact where it belongs: near names, other relations, leaks that were found
training   the loop that SWS, REM and naps share
sws        slow-wave sleep: training on every fact, held to the base
dreams     conversations in which facts meet, checked against the ledger
rem        training on dreams
nap        a few steps that change no edit
measure    what a view is like
gates      what a candidate must pass
settle     what becomes of edits under a new generation
cycle      the phases of a sleep and of a nap, in order
"""
