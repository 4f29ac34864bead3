"""What was learned, in formats that other programs load.

folder    a folder that appears whole or not at all
adapter   a PEFT adapter: the generation's LoRA, and linear edits as further rank
merged    a Hugging Face checkpoint: the base's own files with the changed tensors' bytes replaced

Only what is linear can be exported. Gated edits decide by what they read, which no adapter and no weight matrix can.
"""
