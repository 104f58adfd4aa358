"""A report for a bug's finder: what runs, what is read from where, what is off, what the machine is too small for."""
