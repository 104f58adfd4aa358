"""Keeps a server running: watches it from outside, and starts it again."""
