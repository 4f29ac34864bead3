"""From what was said to candidate facts, and the gate that stands before the weights.

    segments (what of a turn is the user's own assertion) -> reader (grammar, or a model under a schema) -> candidates
    -> gate (grounded? a secret? durable? known? a duplicate?) -> what is learned, and a reason for each refusal

Imports the standard library, `sleepengine.memory.facts` and `sleepengine.wake.grammar`; never torch.
"""
