"""The wake bench: what comes out after facts were learned, and what else changed.

data        the bench's own names, relations, phrasings and questions; their hash
scenario    one seed's people and facts
probes      what is asked: one function for each family of questions
tasks       what one seed teaches and asks, about people or about the user
conditions  what is measured: an editor; baselines that edit nothing
setup       a loaded model, and conditions opened on it by name
asking      probes to prompts to replies, with the bare base as control
scoring     replies to estimates with intervals
seed        one seed of one arm, from facts to metrics
runner      arms and seeds to one result
table, plot how a result is shown

`python -m sleepengine.evaluation.bench` is its command line. It loads a model itself and never needs the daemon.
"""
