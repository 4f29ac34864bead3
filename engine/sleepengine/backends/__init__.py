"""The narrow interface between the engine and the frameworks that hold weights.

base            the interface, in token ids and numpy arrays only
torch_backend/  its implementation on torch and transformers
mlx_backend/    its implementation on mlx and mlx-lm

What implementations share, without a framework:
tokenizer       text to ids and back, over a Hugging Face tokenizer
constraint      which tokens keep a reply to a JSON schema
sites           a model's linear layers by name and shape
grouping        which sequences run together
gates           when a view's gate decides, and over what
contexts        the contexts of a value that is optimised
resident        how much memory the process has held
"""
