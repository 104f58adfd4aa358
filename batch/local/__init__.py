"""A server of ours on this machine: found, given a folder of its own, started under a memory limit."""
