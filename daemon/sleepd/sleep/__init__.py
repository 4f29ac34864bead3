"""Naps and nights.

bedtime    when: one pure decision
scheduler  waits for that moment and begins
power      whether the machine runs on battery
nights     a cycle from its beginning to its commit
settling   committing what it proposes against the ledger as it is by then; undo
reports    what a cycle leaves to read
"""
