"""The nodes a user wires into a workflow."""
