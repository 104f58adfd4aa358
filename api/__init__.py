"""HTTP routes, pushed events and their schemas."""
