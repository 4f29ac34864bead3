"""The interface on torch and transformers.

structure   finds blocks, linear layers and MLP down projections by shape, whatever the architecture is called
patches     the hooks set once into the model: view deltas, skipped lower blocks, gathered logits
batches     padded batches and KV caches
backend     forward passes: generation, likelihoods, capture
values      value optimisation
training    LoRA training with cross-entropy and a KL anchor
"""
