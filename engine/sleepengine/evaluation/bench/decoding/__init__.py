"""The speed bench: how fast one conversation is answered, next to Hugging Face and llama.cpp in the same run.

contenders  what is measured: sleepd under its views, `generate`, llama.cpp
bandwidth   how fast this machine reads weights: the roofline of decoding
course      rounds in which the contenders take turns, to one result
show        that result as text, Markdown and a picture
"""
