"""What can be given back: rungs, and the ladder that climbs them and proves each."""
