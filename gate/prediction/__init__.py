"""What a prompt will need, learned from those before it."""
