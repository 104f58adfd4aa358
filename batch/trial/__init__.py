"""Batches of clips run to see what a server bears: the demo, and what the benches share."""
