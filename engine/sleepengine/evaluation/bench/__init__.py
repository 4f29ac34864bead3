"""The benches: what comes out after facts were learned, or slept on, and what else changed.

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

life           a memory that learns, naps and sleeps without a daemon
recipes        what a sleep arm is: recipe, settings, script; the paper's tables
nights         runs scripts and asks after each step
night_table, night_options   how that is shown, and asked for

revise         corrections and forgettings: what is left of the old
decoding       how fast a conversation is answered, next to others

`python -m sleepengine.evaluation.bench` is its command line. It loads a model itself and never needs the daemon.
"""
