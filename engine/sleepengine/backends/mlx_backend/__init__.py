"""The interface on mlx and mlx-lm.

structure   finds blocks, linear layers and MLP down projections by shape
patches     the wrappers set once into the model: view deltas, skipped blocks, kept streams, gathered logits
caches      padded batches and KV caches, as mlx-lm's attention asks for them
backend     forward passes: likelihoods, capture, what a gate reads
generation  continuing text
values      value optimisation
training    LoRA training with cross-entropy and a KL anchor

Arrays are computed when something asks for their numbers; each work item ends with such a question. An array belongs to
the thread that made it: load the model in the thread that will run it.
"""
