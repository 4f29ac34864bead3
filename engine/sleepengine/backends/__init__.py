"""The narrow interface between the engine and the frameworks that hold weights.

base            the interface, in token ids and numpy arrays only
torch_backend/  its implementation on torch and transformers
"""
