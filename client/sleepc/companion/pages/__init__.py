"""The window's pages: each shows what it is told and asks for what a person wants; none knows another."""
