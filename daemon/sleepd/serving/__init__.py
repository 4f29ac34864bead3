"""Requests in, answers and events out: the two sockets, who may use them, and what the daemon tells of itself.

server    frames, deadlines, repeated requests, back-pressure
calls     one request being answered
events    numbered, kept for a while, published
curve     encryption and identity for sockets on the network
overview  status, health, snapshot
"""
