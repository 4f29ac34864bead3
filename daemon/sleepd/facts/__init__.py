"""Facts learned, changed and shown.

learning      what was said becomes memory
edit_queue    the worker that has facts edited into the model
revising      forget, correct, take back
recollection  facts, why, export
portable      facts as they leave one daemon and enter another
finding       facts by the words with which a person speaks of them
probing       asking the model for what it must not know any more
"""
