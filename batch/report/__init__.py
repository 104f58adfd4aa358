"""What became of a batch: a page for people, and the same as JSON."""
