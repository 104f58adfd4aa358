"""The journal: what must survive the process."""
