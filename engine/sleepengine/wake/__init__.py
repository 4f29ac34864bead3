"""Learning while awake.

grammar/    statements to facts and their prompts; imports no torch
encoding    prompts to token ids, with the places that editing and training need
covariance  second moments of the keys on reference text
profile     the editors' settings for a model; calibrated, those that calibration stored beside it
editing     what editors have in common; opening, an editor made ready for a model; learning, edit, verify, retry
memit       the MEMIT editor: values, keys, residuals spread over layers
solving     the joint ridge solve that turns stored edits into a view's low-rank factors
null_space  the same solve under AlphaEdit's constraint, for the bench
gated       the gated editor: keys of the subject and of what is asked, and one value
gating      its gate; reading, what the gate looks at; relations, the space in which it compares
views       from a view's names to tensors in the model
"""
