"""Conversation: answering, and what a turn means for memory.

conversation   questions, raw completion, conversations that are kept
chat_commands  what a turn asks of the memory itself; pure
obeying        doing that, and saying so
listening      learning from what the user says, off the reply's path
"""
