"""The wake bench: what comes out after facts were learned, and what else changed.

data        the bench's own names, relations, phrasings and questions; their hash
scenario    one seed's people and facts
probes      what is asked: one module-level function for each family of questions
conditions  what is measured: an editor, or a baseline that edits nothing
asking      probes to prompts to replies, with the bare base as control
scoring     replies to estimates with intervals
seed        one seed of one arm, from facts to metrics
runner      arms and seeds to one result
table, plot how a result is shown

`python -m sleepengine.evaluation.bench` is its command line. It loads a model itself and never needs the daemon.
"""
