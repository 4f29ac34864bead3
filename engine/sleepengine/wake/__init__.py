"""Learning while awake.

grammar/    statements to facts and their prompts; imports no torch
encoding    prompts to token ids, with the places that editing and training need
covariance  second moments of the keys on reference text
profile     the editors' settings for a model; calibrated, those that calibration stored beside it
editing     what editors have in common, and the one interface to them
gated       the gated editor: one value a fact
gating      its gate: is the subject named, and is its relation asked for?
reading     which of a prompt's words say what is asked
relations   the space in which that is compared
memit       the MEMIT editor: values, keys, residuals spread over layers
solving     the joint ridge solve that turns stored MEMIT edits into a view's low-rank factors
null_space  the AlphaEdit variant of that solve
opening     editors from profiles, settings and what is measured of a model
suppression edits that keep what no longer holds from coming out
learning    edit, verify by generation, retry
views       from a view's names to tensors in the model
"""
