"""Learning while awake.

grammar/    statements to facts and their prompts; imports no torch
encoding    prompts to token ids, with the places that editing and training need
covariance  second moments of the keys on reference text
profile     the editor's settings for a model
memit       the MEMIT editor: values, keys, residuals spread over layers
solving     the joint ridge solve that turns stored edits into a view's low-rank factors
"""
