"""The standalone page, served by a running batch itself: its machines, its jobs, how far it is."""
