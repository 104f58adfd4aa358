"""What a batch looks like while it runs: on a terminal, as plain lines, or as JSON lines."""
