"""Reads simple English statements by grammar, and writes the prompts that teach and test them.

    normalise (text) -> refuse what is no statement (screen) -> subject and verb (clause) -> object (complement)
    -> how to ask (asking) -> subject, relation and slot (identity) -> every shape of the sentence (sentence)
    -> prompts from general wordings and everyday paraphrases (prompts, paraphrases)

Relations are not listed anywhere: the verb is found by closed word classes, form, agreement and position, with a verb
lexicon as evidence. Words and wordings are data, in `sleepengine/data/grammar`. What is not understood is refused with
a reason. Imports the standard library, `sleepengine.errors` and `sleepengine.memory.facts`; never torch.
"""

from __future__ import annotations

from sleepengine.wake.grammar.split import split_statements
from sleepengine.wake.grammar.statement import Statement, parse_statement, read_statement

__all__ = ["Statement", "parse_statement", "read_statement", "split_statements"]
