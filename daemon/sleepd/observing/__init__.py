"""What is written down about the daemon itself, never about what was said.

logs     JSON lines in the home, and on stderr
metrics  counts and durations for Prometheus
crashes  where something failed
"""
