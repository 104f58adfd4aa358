"""When a job may start, and what became of it."""
