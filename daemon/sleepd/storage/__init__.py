"""The ledger on a thread of its own, and the disk that it lies on.

store    every use of the ledger
keeping  retention, budget, free room, damage
exporting  what was learned as files for other programs
"""
